"""Recipes of base weights from the key names of real checkpoints."""

from collections.abc import Mapping

import pytest

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.checkpoint.facts import CheckpointFacts
from gradience.core.checkpoint.recipe import (
    NOT_FOUND,
    WeightRecipe,
    WeightTarget,
    find_recipe,
)
from gradience.core.checkpoint.stored_weights import CheckpointWeights, checkpoint_weights

Shapes = Mapping[str, tuple[int, ...]]

H, FF, KV, V = 8, 12, 4, 20
"""Hidden, feed-forward, key-value and vocabulary sizes of the checkpoints here."""


def checkpoint(
    shapes: Shapes, model_type: str | None = None, *, tied: bool | None = None, dtype: str = "BF16"
) -> CheckpointWeights:
    """A checkpoint of tensors of one dtype."""
    tensors = [TensorInfo(name, shape, dtype) for name, shape in shapes.items()]
    return checkpoint_weights(tensors, CheckpointFacts(model_type=model_type, tied_embeddings=tied))


def recipe(
    module: str,
    shape: tuple[int, int],
    weights: CheckpointWeights,
    parameter: str | None = None,
    expert: int | None = None,
) -> str:
    """A recipe's text with its axis where that is 1, or the reason."""
    target = WeightTarget(module=module, shape=shape, parameter=parameter, expert=expert)
    found = find_recipe(target, weights)
    return f"{found}{' transposed' * found.axis}" if isinstance(found, WeightRecipe) else found


ATTENTION = "model.layers.0.self_attn"
LLAMA = checkpoint(
    {
        "model.embed_tokens.weight": (V, H),
        f"{ATTENTION}.q_proj.weight": (H, H),
        f"{ATTENTION}.k_proj.weight": (KV, H),
        f"{ATTENTION}.v_proj.weight": (KV, H),
        "model.layers.0.mlp.gate_proj.weight": (FF, H),
        "model.layers.0.mlp.up_proj.weight": (FF, H),
        "model.layers.0.mlp.down_proj.weight": (H, FF),
        "lm_head.weight": (V, H),
    },
    "llama",
)
PHI3 = checkpoint(
    {
        f"{ATTENTION}.qkv_proj.weight": (H + 2 * KV, H),
        "model.layers.0.mlp.gate_up_proj.weight": (2 * FF, H),
    },
    "phi3",
)
GPT2 = checkpoint({"h.0.attn.c_attn.weight": (H, 3 * H), "wte.weight": (V, H)}, "gpt2")
NEOX = checkpoint(
    {"gpt_neox.layers.0.attention.query_key_value.weight": (3 * H, H), "embed_out.weight": (V, H)},
    "gpt_neox",
)
MIXTRAL = checkpoint(
    {
        f"model.layers.0.block_sparse_moe.experts.{expert}.{leaf}.weight": shape
        for expert in range(2)
        for leaf, shape in {"w1": (FF, H), "w2": (H, FF), "w3": (FF, H)}.items()
    },
    "mixtral",
)
EXPERTS = "model.layers.0.mlp.experts"
STACKED = checkpoint(
    {f"{EXPERTS}.gate_up_proj": (2, 2 * FF, H), f"{EXPERTS}.down_proj": (2, H, FF)}, "qwen3_moe"
)
LLAMA4 = checkpoint({f"{EXPERTS}.gate_up_proj": (2, H, 2 * FF)}, "llama4_text")
BERT = checkpoint({"bert.embeddings.word_embeddings.weight": (V, H)}, "bert")
MHA = checkpoint({"visual.transformer.resblocks.0.attn.in_proj_weight": (3 * H, H)})
SDXL = checkpoint({"down_blocks.1.attentions.0.proj_in.weight": (H, H, 1, 1)})

QKV = f"{ATTENTION}.qkv_proj.weight"
MOE = "model.layers.0.block_sparse_moe.experts.1"

FOUND = [
    (f"{ATTENTION}.q_proj", (H, H), LLAMA, f"{ATTENTION}.q_proj.weight"),
    ("lm_head", (V, H), LLAMA, "lm_head.weight"),
    (f"{ATTENTION}.qkv_proj", (H + 2 * KV, H), PHI3, QKV),
    (f"{ATTENTION}.q_proj", (H, H), PHI3, f"{QKV} rows 0 to 8"),
    (f"{ATTENTION}.k_proj", (KV, H), PHI3, f"{QKV} rows 8 to 12"),
    (f"{ATTENTION}.v_proj", (KV, H), PHI3, f"{QKV} rows 12 to 16"),
    (
        "model.layers.0.mlp.up_proj",
        (FF, H),
        PHI3,
        "model.layers.0.mlp.gate_up_proj.weight rows 12 to 24",
    ),
    (
        f"{ATTENTION}.qkv_proj",
        (H + 2 * KV, H),
        LLAMA,
        f"{ATTENTION}.q_proj.weight + {ATTENTION}.k_proj.weight + {ATTENTION}.v_proj.weight",
    ),
    (
        "model.layers.0.mlp.gate_up_proj",
        (2 * FF, H),
        LLAMA,
        "model.layers.0.mlp.gate_proj.weight + model.layers.0.mlp.up_proj.weight",
    ),
    ("transformer.h.0.attn.c_attn", (3 * H, H), GPT2, "h.0.attn.c_attn.weight"),
    (
        "transformer.h.0.attn.k_proj",
        (H, H),
        GPT2,
        "h.0.attn.c_attn.weight rows 8 to 16 transposed",
    ),
    ("lm_head", (V, H), GPT2, "wte.weight"),
    ("lm_head", (V, H), NEOX, "embed_out.weight"),
    ("cls.predictions.decoder", (V, H), BERT, "bert.embeddings.word_embeddings.weight"),
    (f"{MOE}.w1", (FF, H), MIXTRAL, f"{MOE}.w1.weight"),
    (f"{EXPERTS}.1.w1", (FF, H), MIXTRAL, f"{MOE}.w1.weight"),
    (f"{EXPERTS}.1.gate_proj", (FF, H), STACKED, f"{EXPERTS}.gate_up_proj[1] rows 0 to 12"),
    (f"{EXPERTS}.1.up_proj", (FF, H), STACKED, f"{EXPERTS}.gate_up_proj[1] rows 12 to 24"),
    (f"{EXPERTS}.1.down_proj", (H, FF), STACKED, f"{EXPERTS}.down_proj[1]"),
    (
        f"{EXPERTS}.1.up_proj",
        (FF, H),
        LLAMA4,
        f"{EXPERTS}.gate_up_proj[1] rows 12 to 24 transposed",
    ),
    (
        "visual.transformer.resblocks.0.attn",
        (3 * H, H),
        MHA,
        "visual.transformer.resblocks.0.attn.in_proj_weight",
    ),
    (
        "visual.transformer.resblocks.0.attn.v_proj",
        (H, H),
        MHA,
        "visual.transformer.resblocks.0.attn.in_proj_weight rows 16 to 24",
    ),
    (
        "down_blocks.1.attentions.0.proj_in",
        (H, H),
        SDXL,
        "down_blocks.1.attentions.0.proj_in.weight",
    ),
]


@pytest.mark.parametrize(("module", "shape", "weights", "expected"), FOUND)
def test_the_weight_is_found_among_real_names(
    module: str, shape: tuple[int, int], weights: CheckpointWeights, expected: str
) -> None:
    assert recipe(module, shape, weights) == expected


@pytest.mark.parametrize(
    ("weights", "parameter", "shape", "expected"),
    [
        (STACKED, "gate_up_proj", (2 * FF, H), f"{EXPERTS}.gate_up_proj[1]"),
        (STACKED, "down_proj", (FF, H), f"{EXPERTS}.down_proj[1]"),
        (LLAMA4, "gate_up_proj", (2 * FF, H), f"{EXPERTS}.gate_up_proj[1]"),
        (MIXTRAL, "gate_up_proj", (2 * FF, H), f"{MOE}.w1.weight + {MOE}.w3.weight"),
        (MIXTRAL, "down_proj", (H, FF), f"{MOE}.w2.weight"),
    ],
)
def test_a_target_parameter_is_an_experts_slice_or_its_tensors(
    weights: CheckpointWeights, parameter: str, shape: tuple[int, int], expected: str
) -> None:
    assert recipe(EXPERTS, shape, weights, parameter, 1) == expected


def test_a_target_parameter_may_be_a_matrix() -> None:
    weights = checkpoint({"model.layers.0.mixer.matrix": (H, FF)})
    found = recipe("model.layers.0.mixer", (FF, H), weights, "matrix")
    assert found == "model.layers.0.mixer.matrix"


@pytest.mark.parametrize(
    ("shape", "expert", "expected"), [((4, H), None, "mlp.gate.weight"), ((H, FF), 1, "[1]")]
)
def test_a_target_parameter_may_be_named_weight(
    shape: tuple[int, int], expert: int | None, expected: str
) -> None:
    stored = (4, H) if expert is None else (3, H, FF)
    weights = checkpoint({"model.layers.0.mlp.gate.weight": stored})
    found = recipe("model.layers.0.mlp.gate", shape, weights, "weight", expert)
    assert found.endswith(expected)


def test_an_update_of_an_experts_parts_may_be_the_transpose() -> None:
    found = recipe(EXPERTS, (H, 2 * FF), MIXTRAL, "gate_up_proj", 1)
    assert found == f"{MOE}.w1.weight + {MOE}.w3.weight"


def test_an_update_of_another_shape_than_the_experts_parts_says_so() -> None:
    assert "do not join" in recipe(EXPERTS, (2 * FF, H + 1), MIXTRAL, "gate_up_proj", 1)


NEOX_ATTENTION = "gpt_neox.layers.0.attention"
REASONS = [
    (f"{NEOX_ATTENTION}.query", (H, H), NEOX, NOT_FOUND),
    ("model.layers.9.mlp.up_proj", (FF, H), LLAMA, NOT_FOUND),
    ("score", (2, H), LLAMA, NOT_FOUND),
    (f"{ATTENTION}.q_proj", (H, H + 1), LLAMA, "has shape (8, 8), the update (8, 9)"),
    (f"{ATTENTION}.q_proj", (H - 1, H), PHI3, "does not show which rows are q_proj's"),
    (f"{ATTENTION}.qkv_proj", (3 * H, H), LLAMA, "do not join to the update's (24, 8)"),
    (f"{EXPERTS}.2.w2", (H, FF), STACKED, "holds 2 experts, the update is of expert 2"),
    (f"{EXPERTS}.1.w1", (FF, FF), STACKED, "an expert's update (24, 12)"),
]


@pytest.mark.parametrize(("module", "shape", "weights", "reason"), REASONS)
def test_what_cannot_be_matched_says_why(
    module: str, shape: tuple[int, int], weights: CheckpointWeights, reason: str
) -> None:
    assert reason in recipe(module, shape, weights)


def test_halves_of_a_square_expert_cannot_be_told() -> None:
    weights = checkpoint({f"{EXPERTS}.gate_up_proj": (2, 2 * FF, 2 * FF)})
    assert "does not show which half" in recipe(f"{EXPERTS}.0.w1", (FF, 2 * FF), weights)


@pytest.mark.parametrize("model_type", ["gpt_oss", "gpt_bigcode"])
def test_interleaved_rows_are_not_cut(model_type: str) -> None:
    experts = checkpoint({f"{EXPERTS}.gate_up_proj": (2, H, 2 * FF)}, model_type)
    assert "does not show" in recipe(f"{EXPERTS}.0.gate_proj", (FF, H), experts)
    fused = checkpoint({"h.0.attn.c_attn.weight": (3 * H, H)}, model_type)
    assert "does not show" in recipe("h.0.attn.q_proj", (H, H), fused)


def test_a_stack_needs_its_expert_named() -> None:
    assert "which expert?" in recipe(EXPERTS, (2 * FF, H), STACKED, "gate_up_proj")
    assert recipe(EXPERTS, (2 * FF, H), STACKED, "gate_proj", 0) == NOT_FOUND


def test_competing_weights_are_named() -> None:
    towers = ("text_model.layers.0.fc1", "vision_model.layers.0.fc1")
    weights = checkpoint({f"{path}.weight": (FF, H) for path in towers})
    assert recipe("layers.0.fc1", (FF, H), weights).endswith(", ".join(towers))
    assert "several weights" in recipe("layers.0.fc1", (FF, H), weights)


def test_the_shape_decides_between_competing_weights() -> None:
    weights = checkpoint(
        {"text_model.layers.0.fc1.weight": (FF, H), "vision_model.layers.0.fc1.weight": (9, 9)}
    )
    assert recipe("layers.0.fc1", (FF, H), weights) == "text_model.layers.0.fc1.weight"


def test_an_untied_head_is_not_the_embedding() -> None:
    shapes = {"model.embed_tokens.weight": (V, H)}
    assert "not tied" in recipe("lm_head", (V, H), checkpoint(shapes, tied=False))
    assert recipe("lm_head", (V, H), checkpoint(shapes, tied=True)) == "model.embed_tokens.weight"
    assert recipe("lm_head", (V + 1, H), checkpoint(shapes)) == NOT_FOUND


def test_a_reason_of_a_part_is_passed_on() -> None:
    weights = checkpoint({QKV: (H + 2 * KV, H)}, dtype="I32")
    assert "stored as I32" in recipe(f"{ATTENTION}.q_proj", (H, H), weights)


def test_replicated_layers_share_their_sources_weights() -> None:
    target = WeightTarget(module="model.layers.1.self_attn.q_proj", shape=(H, H))
    assert str(find_recipe(target, LLAMA, [(0, 1), (0, 1)])) == f"{ATTENTION}.q_proj.weight"
    assert "makes no layer" in str(find_recipe(target, LLAMA, [(0, 1)]))
