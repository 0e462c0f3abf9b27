"""Finding base weights under the names that real checkpoints use."""

import pytest

from gradience.core.dominance.base_names import find_base_weight, index_names

CASES = [
    ("model.layers.0.q_proj", ["model.layers.0.q_proj.weight"]),
    ("model.layers.0.q_proj", ["layers.0.q_proj.weight"]),
    ("layers.0.q_proj", ["model.layers.0.q_proj.weight"]),
    ("transformer.h.3.attn.c_attn", ["h.3.attn.c_attn.weight"]),
    ("h.3.attn.c_attn", ["transformer.h.3.attn.c_attn.weight"]),
    ("bert.encoder.layer.1.output.dense", ["encoder.layer.1.output.dense.weight"]),
    ("bert.pooler.dense", ["pooler.dense.weight"]),
    ("classifier", ["classifier.weight"]),
    ("model.model.layers.0.q", ["layers.0.q.weight"]),
]
AROUND = ["embed.weight", "model.layers.11.q_proj.weight", "layers.00.q_proj.weight", "q.weight"]


@pytest.mark.parametrize(("module", "stored"), CASES)
def test_bare_and_head_bearing_names_are_found(module: str, stored: list[str]) -> None:
    assert find_base_weight(module, index_names([*AROUND, *stored])) == stored[0]


def test_the_same_name_is_preferred() -> None:
    names = index_names(["a.b.q.weight", "b.q.weight", "x.a.b.q.weight"])
    assert find_base_weight("a.b.q", names) == "a.b.q.weight"


@pytest.mark.parametrize(
    ("module", "stored"),
    [
        ("model.layers.0.q_proj", ["model.layers.1.q_proj.weight"]),
        ("model.layers.0.q_proj", ["q_proj.weight"]),
        ("layers.0.q", ["encoder.layers.0.q.weight", "decoder.layers.0.q.weight"]),
        ("layers.0.q", ["layers.0.q.bias"]),
        ("layers.0.q", ["layers.0.xq.weight"]),
        ("layers.0.q", []),
    ],
)
def test_no_match_and_several_are_none(module: str, stored: list[str]) -> None:
    assert find_base_weight(module, index_names(stored)) is None


def test_another_layer_is_never_taken() -> None:
    names = index_names(["0.q.weight", "q.weight", "layers.0.q.weight"])
    assert find_base_weight("blocks.1.layers.0.q", names) is None
