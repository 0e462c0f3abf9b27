"""kohya's layout: alphas, convolutions, and what stands beside the factors."""

import pytest

from gradience.core.adapter.kohya_layout import TRAINING_KEYS, read_kohya
from gradience.core.adapter.tensors import TensorInfo, TensorKind
from tests.adapter_files import names_in

MODULE = "lora_unet_down_blocks_0_attentions_0_proj_in"


def _pair(module: str = MODULE, kernel: tuple[int, ...] = ()) -> list[TensorInfo]:
    ones = (1,) * len(kernel)
    return [
        TensorInfo(f"{module}.lora_down.weight", (4, 6, *kernel), "F16"),
        TensorInfo(f"{module}.lora_up.weight", (8, 4, *ones), "F16"),
    ]


def test_the_scale_is_alpha_over_rank() -> None:
    (pair,) = read_kohya(_pair(), {f"{MODULE}.alpha": 2.0}, {}).pairs
    assert (pair.module, pair.rank) == (MODULE, 4)
    assert (pair.scaling.alpha, pair.scaling.scale) == (2.0, 0.5)


def test_without_alphas_the_scale_is_one_and_that_is_told() -> None:
    contents = read_kohya([*_pair(), *_pair("b")], {f"{MODULE}.alpha": 2.0}, {})
    assert [pair.scaling.scale for pair in contents.pairs] == [0.5, 1.0]
    assert contents.notes == ("no alpha tensor for 1 module; loaders scale by 1",)
    configured = read_kohya(_pair(), {}, {"ss_network_alpha": "16"})
    assert configured.notes[0].endswith("by 1, though ss_network_alpha is 16")


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_convolutions_are_flattened(kernel: tuple[int, int]) -> None:
    (pair,) = read_kohya(_pair(kernel=kernel), {}, {}).pairs
    assert pair.update_shape == (8, 6 * kernel[0] * kernel[1])


def test_a_tucker_decomposition_is_left_unaudited() -> None:
    middle = TensorInfo(f"{MODULE}.lora_mid.weight", (4, 4, 3, 3), "F16")
    tensors = [*_pair(), middle, *_pair("b")]
    contents = read_kohya(tensors, {}, {})
    assert [pair.module for pair in contents.pairs] == ["b"]
    assert contents.others == tuple((t, TensorKind.UNREAD_FACTOR) for t in tensors[:3])


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("alpha", TensorKind.SCALING),
        ("dora_scale", TensorKind.DORA_MAGNITUDE),
        ("diff", TensorKind.FULL_DIFFERENCE),
        ("diff_b", TensorKind.FULL_DIFFERENCE),
        ("hada_w1_a", TensorKind.UNREAD_FACTOR),
        ("lokr_w1", TensorKind.UNREAD_FACTOR),
        ("oft_blocks", TensorKind.UNREAD_FACTOR),
        ("bias", TensorKind.BIAS),
        ("weight", TensorKind.SAVED_MODULE),
    ],
)
def test_other_tensors_are_named(end: str, kind: TensorKind) -> None:
    tensor = TensorInfo(f"{MODULE}.{end}", (4, 4), "F32")
    contents = read_kohya([*_pair(), tensor], {}, {})
    assert contents.others == ((tensor, kind),)
    assert sorted(names_in(contents)) == sorted(t.name for t in [*_pair(), tensor])


def test_half_a_pair_is_incomplete() -> None:
    tensors = _pair()[:1]
    assert read_kohya(tensors, {}, {}).incomplete == tuple(tensors)


def test_training_settings_are_kept_and_prompts_are_not() -> None:
    metadata = {"ss_network_dim": "4", "ss_tag_frequency": "{}", "ss_output_name": "me"}
    found = read_kohya(_pair(), {}, metadata).training_metadata
    assert found == {"ss_network_dim": "4"}
    assert not {"ss_tag_frequency", "ss_dataset_dirs", "ss_output_name"} & set(TRAINING_KEYS)
