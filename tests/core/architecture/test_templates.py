"""Templates of modules."""

import pytest

from gradience.core.architecture.modules import ModelModule, ModuleKind, Parameter
from gradience.core.architecture.templates import Sizes, expand

SIZES: Sizes = {"layers": 2, "odd": (1, 3), "d": 4, "m": 6, "yes": 1, "no": 0}


def modules(template: str, *, prefix: str = "", tied: bool = False) -> dict[str, ModelModule]:
    """The expanded template by name."""
    return {module.name: module for module in expand(template, SIZES, prefix, tied=tied).modules}


def test_a_line_repeats_over_layers_and_within_them() -> None:
    names = modules("@h.{layers}.a.{odd}.q linear d m", prefix="model.")
    assert list(names) == [
        "model.h.0.a.1.q",
        "model.h.0.a.3.q",
        "model.h.1.a.1.q",
        "model.h.1.a.3.q",
    ]


def test_conditions() -> None:
    found = modules("[yes] a rms d\n[!yes] b rms d\n[no] c rms d\n[!no] e rms d\n")
    assert set(found) == {"a", "e"}


@pytest.mark.parametrize(
    ("line", "shapes"),
    [
        ("x linear d m", {"weight": (6, 4)}),
        ("x linear+ d m", {"weight": (6, 4), "bias": (6,)}),
        ("x linear?yes d m", {"weight": (6, 4), "bias": (6,)}),
        ("x linear?no d m", {"weight": (6, 4)}),
        ("x conv1d+ d m", {"weight": (4, 6), "bias": (6,)}),
        ("x conv d m 3 2", {"weight": (6, 4, 3, 2)}),
        ("x conv+ d d 3 depthwise", {"weight": (4, 1, 3), "bias": (4,)}),
        ("x embed m d", {"weight": (6, 4)}),
        ("x norm+ d", {"weight": (4,), "bias": (4,)}),
        ("x rms d m", {"weight": (4, 6)}),
        ("x params a=d,m b= c=2", {"a": (4, 6), "b": (), "c": (2,)}),
    ],
)
def test_kinds(line: str, shapes: dict[str, tuple[int, ...]]) -> None:
    assert {each.name: each.shape for each in modules(line)["x"].parameters} == shapes


def test_features_kernels_and_groups() -> None:
    conv = modules("x conv d d 3 depthwise")["x"]
    assert (conv.kind, conv.in_features, conv.out_features) == (ModuleKind.CONVOLUTION, 4, 4)
    assert (conv.kernel, conv.groups) == ((3,), 4)
    words = modules("x embed m d")["x"]
    assert (words.kind, words.in_features, words.out_features) == (ModuleKind.EMBEDDING, 6, 4)


def test_lines_of_one_path_are_one_module() -> None:
    module = modules("x params a=d\n[yes] x params b=m")["x"]
    assert module.parameters == (Parameter("a", (4,)), Parameter("b", (6,)))


def test_what_is_shared() -> None:
    template = "a linear+ d m tied\nb linear+ d m all-tied\nc linear d m shared"
    sizes = {name: module.unshared_size for name, module in modules(template, tied=True).items()}
    assert sizes == {"a": 6, "b": 0, "c": 0}
    sizes = {name: module.unshared_size for name, module in modules(template).items()}
    assert sizes == {"a": 30, "b": 30, "c": 0}


def test_embeddings_are_named() -> None:
    found = expand("@e embed m d input\n@o linear d m output", SIZES, "p.", tied=False)
    assert (found.input_embedding, found.output_embedding) == ("p.e", "p.o")
    assert expand("x rms d", SIZES, "", tied=False).input_embedding is None


def test_a_name_that_has_no_size_is_a_mistake_in_the_data() -> None:
    with pytest.raises(KeyError, match="unknown"):
        modules("x linear unknown d")
