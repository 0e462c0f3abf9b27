"""Modules of a model."""

from gradience.core.architecture.modules import (
    Architecture,
    ModelModule,
    ModuleKind,
    Parameter,
    under,
)

TIED = ModelModule(
    "a.b.head",
    ModuleKind.LINEAR,
    3,
    2,
    (Parameter("weight", (2, 3)), Parameter("bias", (2,))),
    shared=frozenset({"weight"}),
)
ROOT = ModelModule("", ModuleKind.OTHER, 0, 0, (Parameter("scale", ()),))


def test_sizes_count_what_is_shared_once() -> None:
    assert (TIED.size, TIED.unshared_size, TIED.bias) == (8, 2, 2)
    assert ROOT.size == 1
    assert ROOT.bias == 0
    assert Architecture(model_type="x", modules=(TIED, ROOT)).size == 3


def test_containers_are_what_lies_above() -> None:
    assert Architecture(model_type="x", modules=(TIED, ROOT)).containers() == {"a", "a.b"}


def test_places_end_at_dots() -> None:
    assert under("a.b", "a")
    assert under("a", "a")
    assert not under("ab", "a")
