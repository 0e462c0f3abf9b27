"""mlx-lm's layout: transposed factors, stacked experts, the scale of its configuration."""

import pytest

from gradience.core.adapter.mlx_layout import read_mlx
from gradience.core.adapter.tensors import FactorForm, TensorInfo, TensorKind
from gradience.core.errors import ConfigError, UnsupportedAdapterError

CONFIG: dict[str, object] = {"lora_parameters": {"rank": 4, "scale": 10.0}}
PLACE = "adapter_config.json"


def _pair(a: tuple[int, ...], b: tuple[int, ...], module: str = "q_proj") -> list[TensorInfo]:
    return [TensorInfo(f"{module}.lora_a", a, "F32"), TensorInfo(f"{module}.lora_b", b, "F32")]


def test_factors_are_transposed_and_scaled_by_the_config() -> None:
    (pair,) = read_mlx(_pair((12, 4), (4, 10)), CONFIG, PLACE).pairs
    assert (pair.form, pair.rank, pair.update_shape) == (FactorForm.TRANSPOSED, 4, (10, 12))
    assert pair.scaling == (4, 40.0, 10.0)


def test_stacked_experts_are_told() -> None:
    (pair,) = read_mlx(_pair((5, 4, 12), (5, 10, 4)), CONFIG, PLACE).pairs
    assert (pair.form, pair.experts, pair.rank) == (FactorForm.EXPERT_STACK, 5, 4)
    assert pair.update_shape == (10, 12)
    assert pair.scaling == (4, 40.0, 10.0)


@pytest.mark.parametrize(
    "config", [{}, {"lora_parameters": {}}, {"lora_parameters": {"scale": "x"}}]
)
def test_a_missing_scale_is_refused(config: dict[str, object]) -> None:
    words = r"adapter_config\.json: expected a number under lora_parameters\.scale"
    with pytest.raises(ConfigError, match=words):
        read_mlx(_pair((12, 4), (4, 10)), config, PLACE)


def test_a_full_fine_tune_is_declined() -> None:
    with pytest.raises(UnsupportedAdapterError, match="found full: whole weights"):
        read_mlx([], {"fine_tune_type": "full"}, PLACE)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("q_proj.m", TensorKind.DORA_MAGNITUDE),
        ("q_proj.lora_a", TensorKind.UNREAD_FACTOR),
        ("q_proj.bias", TensorKind.BIAS),
        ("head.weight", TensorKind.SAVED_MODULE),
    ],
)
def test_other_tensors_are_named(name: str, kind: TensorKind) -> None:
    tensor = TensorInfo(name, (4,), "F32")
    assert read_mlx([tensor], CONFIG, PLACE).others == ((tensor, kind),)
