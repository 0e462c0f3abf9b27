"""What a fit says of published and of tiny models; PEFT's own numbers are in test_resolve.py."""

import pytest

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.resolve import fit_model
from gradience.core.config.snapshot import ConfigSnapshot, TrainingSnapshot
from tests.core.architecture.test_resolve import MIXTRAL, QV, VIT, Adapter, fitted, snapshot
from tests.meta_models import Config

LLAMA_3_8B: Config = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}  # fmt: skip


def known(config: Config) -> Architecture:
    """The architecture of a config.json that is described."""
    architecture = build_architecture(config)
    assert isinstance(architecture, Architecture), architecture
    return architecture


def test_llama_3_8b_by_hand() -> None:
    """r·(d_in + d_out) over q, k, v, o, gate, up and down in 32 layers, r = 16."""
    fit = fit_model(known(LLAMA_3_8B), snapshot({"target_modules": "all-linear"}, r=16))
    per_layer = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert fit.base_params == 8_030_261_248
    assert fit.trainable_params == 32 * 16 * per_layer == 41_943_040
    assert fit.matched == {"all-linear": 224}
    assert fit.optimizer_bytes == 8 * 41_943_040


def test_saved_modules_have_the_models_dtype_and_quantised_models_float32() -> None:
    plain = snapshot({"target_modules": QV, "modules_to_save": ["embed_tokens"]})
    words = 128256 * 4096
    fit = fit_model(known(LLAMA_3_8B), plain)
    assert fit.saved_module_params == words
    assert fit.trainable_params is not None
    assert fit.weight_bytes == 4 * (fit.trainable_params - words) + 2 * words
    quantised = ConfigSnapshot(lora=plain.lora, extras={"quantization": {"bits": 4}})
    assert fit_model(known(LLAMA_3_8B), quantised).weight_bytes == 4 * fit.trainable_params
    half = TrainingSnapshot(extras={"parameter_dtype": "bf16"})
    in_half = ConfigSnapshot(lora=plain.lora, training=half)
    assert fit_model(known(LLAMA_3_8B), in_half).weight_bytes == 2 * fit.trainable_params


def test_targets_and_patterns_that_match_nothing() -> None:
    lora: Config = {
        "target_modules": ["q_proj", "c_attn"],
        "rank_pattern": {"v_proj": 4, "q_proj": 2},
        "alpha_pattern": {"v_proj": 4},
    }
    fit = fit_model(known(LLAMA_3_8B), snapshot(lora))
    assert fit.matched == {"q_proj": 32, "c_attn": 0}
    assert fit.unmatched_targets == ("c_attn",)
    assert fit.unmatched_patterns == ("v_proj",)
    assert fit.max_rank == 2
    assert fit.reason is None


def test_experts_count_under_the_targets_as_they_were_written() -> None:
    fit = fitted(Adapter(MIXTRAL, {"target_modules": ["q_proj", "w1", "w2", "w3", "nothing"]}))
    assert fit.matched == {"q_proj": 3, "w1": 3, "w2": 3, "w3": 3, "nothing": 0}
    assert fit.max_rank == 16


def test_names_of_transformers_4_still_give_sizes() -> None:
    fit = fitted(Adapter(VIT, {"target_modules": ["query", "value"]}))
    assert fit.matched == {"query": 2, "value": 2}
    assert fit.trainable_params == 4 * 8 * (24 + 24)


def test_without_a_rank_only_what_matches_is_said() -> None:
    fit = fit_model(known(LLAMA_3_8B), snapshot({"target_modules": ["q_proj"]}, r=None))
    assert fit.matched == {"q_proj": 32}
    assert fit.modules == ()
    assert fit.trainable_params is None
    assert fit.reason == "no rank is given"


def test_without_an_adapter_only_the_model_is_said() -> None:
    fit = fit_model(known(LLAMA_3_8B), ConfigSnapshot())
    assert fit.reason == "the configuration has no adapter"
    assert (fit.model_type, fit.n_layers) == ("llama", 32)
    other = fit_model(known(LLAMA_3_8B), ConfigSnapshot(extras={"peft_type": "IA3"}))
    assert other.reason is not None
    assert "IA3" in other.reason


def test_full_fine_tuning_trains_the_whole_model() -> None:
    fit = fit_model(known(LLAMA_3_8B), ConfigSnapshot(extras={"finetuning": "full"}))
    assert fit.trainable_params == fit.base_params
    assert fit.adapter_bytes is None


@pytest.mark.parametrize(
    "lora",
    [
        {"rank_pattern": {"q_proj": 0}, "target_modules": ["q_proj"]},
        {"layers_to_transform": ["a"], "target_modules": ["q_proj"]},
        {"target_modules": "(a+)+b"},
        {"target_modules": ["q_proj"], "rank_pattern": {"(": 3}},
        {"target_modules": ["q_proj"], "modules_to_save": ["("]},
    ],
)
def test_a_value_that_peft_could_not_take_is_a_reason(lora: Config) -> None:
    fit = fit_model(known(LLAMA_3_8B), snapshot(lora))
    assert fit.reason
    assert fit.trainable_params is None
    assert fit.base_params == 8_030_261_248
