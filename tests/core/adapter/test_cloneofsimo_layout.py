"""cloneofsimo's layout: numbered modules of scale 1, and rows of the token embedding."""

import pytest

from gradience.core.adapter.cloneofsimo_layout import read_cloneofsimo
from gradience.core.adapter.tensors import TensorInfo, TensorKind


def _pair(module: str) -> list[TensorInfo]:
    return [TensorInfo(f"{module}:up", (8, 4), "F32"), TensorInfo(f"{module}:down", (4, 6), "F32")]


def test_numbered_modules_are_pairs_of_scale_one() -> None:
    contents = read_cloneofsimo([*_pair("unet:0"), *_pair("text_encoder:11")])
    assert [pair.module for pair in contents.pairs] == ["unet:0", "text_encoder:11"]
    pair = contents.pairs[0]
    assert (pair.a.name, pair.rank, pair.update_shape) == ("unet:0:down", 4, (8, 6))
    assert pair.scaling.scale == 1.0
    assert "scales them by 1" in contents.notes[0]


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("<s1>", (768,), TensorKind.TRAINABLE_TOKENS),
        ("unet:3:up", (8,), TensorKind.UNREAD_FACTOR),
        ("unet.weight", (4, 4), TensorKind.SAVED_MODULE),
    ],
)
def test_other_tensors_are_named(name: str, shape: tuple[int, ...], kind: TensorKind) -> None:
    tensor = TensorInfo(name, shape, "F32")
    assert read_cloneofsimo([*_pair("unet:0"), tensor]).others == ((tensor, kind),)


def test_half_a_pair_is_incomplete() -> None:
    tensors = _pair("unet:0")[:1]
    assert read_cloneofsimo(tensors).incomplete == tuple(tensors)
