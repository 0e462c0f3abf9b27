"""Tensors that are trained and saved."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gradience.core.adapter.scaling import ModuleScaling
from gradience.core.architecture.adapter_settings import adapter_settings
from gradience.core.architecture.modules import ModelModule, ModuleKind, Parameter
from gradience.core.architecture.targets import Adapted
from gradience.core.architecture.trained import (
    TrainedTensor,
    file_bytes,
    item_bytes,
    lora_shapes,
    parameter_features,
)
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot

PLAIN = adapter_settings(ConfigSnapshot(lora=LoraSnapshot(r=4)))
RANK = ModuleScaling(4, 8.0, 2.0)
EXPERTS = ModelModule("mlp.experts", ModuleKind.OTHER, 0, 0, (Parameter("up", (3, 10, 6)),))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_files_size_is_that_of_safetensors(count: int, tmp_path: Path) -> None:
    tensors = tuple(
        TrainedTensor(f"base_model.model.layers.{n}.lora_A.weight", (4, n + 1), 4)
        for n in range(count)
    )
    path = tmp_path / "adapter_model.safetensors"
    arrays = {each.name: np.zeros(each.shape, np.float32) for each in tensors}
    save_file(arrays, path, metadata={"format": "pt"})
    assert file_bytes(tensors) == path.stat().st_size


def test_a_grouped_convolution() -> None:
    module = ModelModule("conv", ModuleKind.CONVOLUTION, 8, 6, (), (3, 2), 2)
    assert lora_shapes(Adapted(module=module), RANK, PLAIN) == {
        "lora_A.weight": (4, 8, 3, 2),
        "lora_B.weight": (6, 2, 1, 1),
    }


def test_stacks_of_experts_either_way() -> None:
    each = Adapted(module=EXPERTS, parameter=EXPERTS.parameters[0])
    assert each.name == "mlp.experts.up"
    assert parameter_features(each) == (3, 6, 10)
    assert lora_shapes(each, RANK, PLAIN) == {
        "lora_A.weight": (12, 6),
        "lora_B.weight": (10, 12),
    }
    turned = Adapted(module=EXPERTS._replace(transposed=True), parameter=EXPERTS.parameters[0])
    assert parameter_features(turned) == (3, 10, 6)


def test_a_vector_has_no_factors() -> None:
    with pytest.raises(ValueError, match=r"mlp.experts.bias has the shape \(3,\)"):
        parameter_features(Adapted(module=EXPERTS, parameter=Parameter("bias", (3,))))


@pytest.mark.parametrize(
    ("dtype", "size"), [("bfloat16", 2), ("fp16", 2), ("float32", 4), (None, 4), ("?", 4)]
)
def test_bytes_of_a_number(dtype: str | None, size: int) -> None:
    assert item_bytes(dtype) == size
