"""Laws of models and adapters on them, whatever their sizes."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.architecture.build import FAMILIES, build_architecture
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.resolve import fit_model
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TARGETS = st.lists(st.sampled_from(PROJECTIONS), min_size=1, unique=True)

KEYS = st.sampled_from(
    [
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "vocab_size", "head_dim", "n_embd", "n_layer", "n_head",
        "d_model", "num_layers", "num_heads", "d_kv", "d_ff", "max_position_embeddings",
        "image_size", "patch_size", "text_config", "vision_config", "tie_word_embeddings",
        "num_hidden_groups", "inner_group_num", "qk_layernorm", "num_experts", "architectures",
        "moe_intermediate_size", "num_local_experts", "encoder_layers", "decoder_layers",
        "encoder_ffn_dim", "decoder_ffn_dim", "id2label", "num_labels", "pos_att_type",
    ]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 9), st.integers(), st.booleans(), st.none(), st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(KEYS, st.integers(0, 9), max_size=5),
    st.lists(st.sampled_from(["LlamaForCausalLM", "BertModel", "X"]), max_size=1),
)  # fmt: skip


@st.composite
def llamas(draw: st.DrawFn) -> Architecture:
    """A Llama of any small size."""
    kv = draw(st.integers(1, 3))
    found = build_architecture(
        {
            "model_type": draw(st.sampled_from(["llama", "mistral", "qwen2", "gemma2", "olmo2"])),
            "hidden_size": draw(st.integers(1, 40)),
            "intermediate_size": draw(st.integers(1, 60)),
            "num_hidden_layers": draw(st.integers(1, 5)),
            "num_attention_heads": kv * draw(st.integers(1, 3)),
            "num_key_value_heads": kv,
            "head_dim": draw(st.integers(1, 8)),
            "vocab_size": draw(st.integers(1, 90)),
            "tie_word_embeddings": draw(st.booleans()),
        }
    )
    assert isinstance(found, Architecture)
    return found


def config(r: int, targets: list[str] | str, **extras: object) -> ConfigSnapshot:
    """A configuration of LoRA with AdamW."""
    given_targets = targets if isinstance(targets, str) else tuple(targets)
    return ConfigSnapshot(
        optimizer=OptimizerSnapshot(name="adamw_torch"),
        lora=LoraSnapshot(r=r, alpha=16.0, target_modules=given_targets, extras=extras),
    )


@given(llamas(), TARGETS, st.integers(1, 64))
def test_size_is_rank_times_the_sum_of_both_widths(
    model: Architecture, targets: list[str], r: int
) -> None:
    fit = fit_model(model, config(r, targets))
    widths = sum(each.in_features + each.out_features for each in fit.modules)
    assert fit.trainable_params == r * widths == sum(each.params for each in fit.modules)
    assert fit.matched == dict.fromkeys(targets, model.n_layers)
    assert fit.optimizer_bytes == 8 * r * widths


@given(llamas(), TARGETS, TARGETS)
def test_targets_add_up(model: Architecture, some: list[str], others: list[str]) -> None:
    def names(targets: list[str]) -> set[str]:
        return {each.name for each in fit_model(model, config(4, targets)).modules}

    assert names(some) | names(others) == names(list({*some, *others}))
    assert names(some) == names(some[::-1])


@given(llamas())
def test_all_linear_is_every_projection(model: Architecture) -> None:
    everything = fit_model(model, config(4, "all-linear"))
    listed = fit_model(model, config(4, list(PROJECTIONS)))
    assert {each.name for each in everything.modules} == {each.name for each in listed.modules}
    assert everything.trainable_params == listed.trainable_params


@given(llamas(), TARGETS, st.integers(1, 8), st.integers(1, 8))
def test_a_rank_pattern_for_everything_is_a_rank(
    model: Architecture, targets: list[str], r: int, other: int
) -> None:
    by_pattern = fit_model(model, config(r, targets, rank_pattern={".*": other}))
    by_rank = fit_model(model, config(other, targets))
    assert by_pattern.modules == by_rank.modules
    assert by_pattern.max_rank == other


@given(llamas(), TARGETS, st.data())
def test_excluding_and_choosing_layers_split_the_modules(
    model: Architecture, targets: list[str], data: st.DataObject
) -> None:
    layer = data.draw(st.integers(0, (model.n_layers or 1) - 1))
    chosen = fit_model(model, config(4, targets, layers_to_transform=[layer]))
    rest = fit_model(model, config(4, targets, exclude_modules=rf".*\.{layer}\..*"))
    everything = fit_model(model, config(4, targets))
    assert {each.name for each in chosen.modules} | {each.name for each in rest.modules} == {
        each.name for each in everything.modules
    }
    assert len(chosen.modules) + len(rest.modules) == len(everything.modules)


@given(llamas(), TARGETS)
def test_saving_the_embedding_adds_just_its_size(model: Architecture, targets: list[str]) -> None:
    plain = fit_model(model, config(4, targets))
    saved = fit_model(model, config(4, targets, modules_to_save=["embed_tokens"]))
    words = next(each for each in model.modules if each.name == "model.embed_tokens")
    assert saved.saved_module_params == words.size
    assert (saved.trainable_params or 0) - (plain.trainable_params or 0) == words.size
    assert saved.base_params == plain.base_params == model.size


@given(
    st.sampled_from(sorted(FAMILIES)),
    st.dictionaries(KEYS, VALUES, max_size=12),
    st.sampled_from([None, "SEQ_CLS", "CAUSAL_LM", "x"]),
)
def test_any_config_json_is_a_model_or_a_reason(
    model_type: str, settings: dict[str, Any], task_type: str | None
) -> None:
    found = build_architecture({**settings, "model_type": model_type}, task_type)
    if isinstance(found, str):
        assert found
        return
    fit = fit_model(found, config(4, "all-linear", task_type=task_type))
    assert msgspec.json.decode(msgspec.json.encode(fit), type=type(fit)) == fit
