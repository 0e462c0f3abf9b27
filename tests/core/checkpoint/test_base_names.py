"""Finding base weights under the names that real checkpoints use."""

from collections.abc import Sequence

import pytest

from gradience.core.checkpoint.base_names import AmbiguousName, find_path, index_names


def find(
    module: str, stored: Sequence[str], model_type: str | None = None, fitting: str = ""
) -> str | AmbiguousName | None:
    """Finds a module; of several paths those fit that contain a text."""
    return find_path(module, index_names(stored, model_type), lambda path: fitting in path)


CASES = [
    ("model.layers.0.q_proj", "model.layers.0.q_proj"),
    ("model.layers.0.q_proj", "layers.0.q_proj"),
    ("layers.0.q_proj", "model.layers.0.q_proj"),
    ("transformer.h.3.attn.c_attn", "h.3.attn.c_attn"),
    ("h.3.attn.c_attn", "transformer.h.3.attn.c_attn"),
    ("bert.encoder.layer.1.output.dense", "encoder.layer.1.output.dense"),
    ("bert.pooler.dense", "pooler.dense"),
    ("classifier", "classifier"),
    ("model.model.layers.0.q", "layers.0.q"),
    ("base_model.layers.0.q", "layers.0.q"),
    ("roberta.encoder.layer.1.output.dense", "bert.encoder.layer.1.output.dense"),
    ("model.layers.0.q_proj", "language_model.model.layers.0.q_proj"),
    ("model.layers.0.q_proj", "model.language_model.layers.0.q_proj"),
    ("language_model.model.layers.0.q_proj", "model.layers.0.q_proj"),
    ("encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.0.self_attn.q_proj"),
    ("lm_head", "language_model.lm_head"),
    ("transformer.proj_out", "proj_out"),
    ("unet.conv_in", "conv_in"),
    ("gpt_neox.embed_in", "embed_in"),
    ("embed_in", "gpt_neox.embed_in"),
    ("down_blocks.0.attentions.1.to_q", "unet.down_blocks.0.attentions.1.to_q"),
    ("wrapped.inside.layers.0.q_proj", "model.wrapped.inside.layers.0.q_proj"),
]
AROUND = ["embed", "model.layers.11.q_proj", "layers.00.q_proj", "q", "vision_tower.layers.0.fc1"]


@pytest.mark.parametrize(("module", "stored"), CASES)
def test_bare_and_head_bearing_names_are_found(module: str, stored: str) -> None:
    assert find(module, [*AROUND, stored]) == stored


def test_the_same_name_is_preferred() -> None:
    assert find("a.b.q", ["a.b.q", "b.q", "x.a.b.q"]) == "a.b.q"


def test_the_longest_part_of_the_name_is_preferred() -> None:
    assert find("x.a.b.layers.0.q", ["b.layers.0.q", "a.b.layers.0.q"]) == "a.b.layers.0.q"


@pytest.mark.parametrize(
    ("module", "stored"),
    [
        ("model.layers.0.q_proj", ["model.layers.1.q_proj"]),
        ("model.layers.0.q_proj", ["q_proj"]),
        ("model.layers.0.q_proj", ["0.q_proj"]),
        ("0.q_proj", ["model.layers.0.q_proj"]),
        ("layers.0.q", ["layers.0.xq"]),
        ("layers.0.q", ["blocks.1.layers.0.q"]),
        ("layers.0.q", []),
        ("model.encoder.layers.0.q", ["layers.0.q"]),
        ("model.decoder.layers.0.q", ["model.encoder.layers.0.q"]),
        ("visual.blocks.0.attn.proj", ["blocks.0.attn.proj"]),
        ("proj", ["vision_tower.proj"]),
        ("classifier", ["decode_head.classifier"]),
        ("decode_head.classifier", ["classifier"]),
    ],
)
def test_what_is_not_there_is_none(module: str, stored: list[str]) -> None:
    assert find(module, stored) is None


def test_another_layer_is_never_taken() -> None:
    assert find("blocks.1.layers.0.q", ["0.q", "q", "layers.0.q"]) is None


TWO_TOWERS = ["text_model.encoder.layers.0.q", "vision_model.encoder.layers.0.q"]


def test_two_towers_are_told_apart_by_name() -> None:
    assert find(TWO_TOWERS[1], TWO_TOWERS) == TWO_TOWERS[1]


def test_competing_names_are_named() -> None:
    found = find("encoder.layers.0.q", TWO_TOWERS)
    assert isinstance(found, AmbiguousName)
    assert str(found) == f"several weights could be meant: {TWO_TOWERS[0]}, {TWO_TOWERS[1]}"


def test_of_competing_names_the_only_one_of_fitting_shape_is_taken() -> None:
    assert find("encoder.layers.0.q", TWO_TOWERS, fitting="vision") == TWO_TOWERS[1]


VIT_NEW = "vit.layers.0.attention.q_proj"
VIT_OLD = "vit.encoder.layer.0.attention.attention.query"


@pytest.mark.parametrize("model_type", ["vit", "deit", None])
@pytest.mark.parametrize(("module", "stored"), [(VIT_NEW, VIT_OLD), (VIT_OLD, VIT_NEW)])
def test_renames_work_in_both_directions(module: str, stored: str, model_type: str | None) -> None:
    assert find(module, [stored, "vit.pooler.dense"], model_type) == stored


def test_renames_go_together_with_another_prefix() -> None:
    bare = VIT_OLD.removeprefix("vit.")
    assert find(VIT_NEW, [bare], "vit") == bare
    assert find(VIT_NEW.removeprefix("vit."), [VIT_OLD], "vit") == VIT_OLD


def test_another_familys_renames_are_not_used() -> None:
    assert find(VIT_NEW, [VIT_OLD], "llama") is None


def test_a_rename_that_loses_a_difference_is_ambiguous() -> None:
    stored = ["vit.encoder.layer.0.output.dense", "vit.layers.0.mlp.fc2"]
    found = find("encoder.layer.0.mlp.fc2", stored, "vit")
    assert found == AmbiguousName(tuple(stored))
