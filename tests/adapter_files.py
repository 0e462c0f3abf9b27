"""Small LoRA adapters in PEFT's layout, in memory and on disk."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.peft_layout import read_peft
from gradience.core.adapter.scaling import ModuleScaling
from gradience.core.adapter.tensors import AdapterContents, LoraPair, TensorInfo
from gradience.core.audit.report import AuditReport, Finding, LayerData, LayerRow

Array = NDArray[Any]
Factors = tuple[Array, Array]

PREFIX = "base_model.model."
Q_PROJ = "model.layers.0.self_attn.q_proj"
UP_PROJ = "model.layers.1.mlp.up_proj"
SCALING = ModuleScaling(4, 8.0, 2.0)


def lora_config(**changes: object) -> dict[str, object]:
    """An adapter_config.json with r=4 and alpha=8 as PEFT writes it, with changes."""
    config: dict[str, object] = {"peft_type": "LORA", "r": 4, "lora_alpha": 8}
    return {**config, **changes}


def factors(r: int = 4, d_in: int = 12, d_out: int = 10, seed: int = 0) -> Factors:
    """Gaussian lora_A (r, d_in) and lora_B (d_out, r), float32."""
    generator = np.random.default_rng(seed)
    a = generator.standard_normal((r, d_in)).astype(np.float32)
    return a, generator.standard_normal((d_out, r)).astype(np.float32)


def state_dict(
    modules: Mapping[str, Factors], *, prefix: str = PREFIX, adapter: str = ""
) -> dict[str, Array]:
    """Tensor name → array for each module's factors."""
    end = f".{adapter}.weight" if adapter else ".weight"
    return {
        f"{prefix}{module}.lora_{side}{end}": np.ascontiguousarray(factor)
        for module, pair in modules.items()
        for side, factor in zip("AB", pair, strict=True)
    }


def write_adapter(
    folder: Path, state: Mapping[str, Array], config: Mapping[str, object] | None = None
) -> Path:
    """Writes adapter_config.json and adapter_model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config or lora_config()))
    save_file(dict(state), folder / "adapter_model.safetensors")
    return folder


def write_modules(folder: Path, modules: Mapping[str, Factors], **changes: object) -> Path:
    """Writes an adapter of these factors, with changes to its config."""
    return write_adapter(folder, state_dict(modules), lora_config(**changes))


def tensor_pair(
    module: str = Q_PROJ,
    a_shape: tuple[int, ...] = (4, 12),
    b_shape: tuple[int, ...] = (10, 4),
    dtype: str = "F32",
    scaling: ModuleScaling = SCALING,
) -> LoraPair:
    """The header of a pair of r=4 and alpha=8."""
    name = f"{PREFIX}{module}.lora_"
    a = TensorInfo(f"{name}A.weight", a_shape, dtype)
    return LoraPair(module, a, TensorInfo(f"{name}B.weight", b_shape, dtype), scaling)


def tensors_of(*pairs: LoraPair) -> list[TensorInfo]:
    """The headers of the pairs' factors."""
    return [tensor for pair in pairs for tensor in (pair.a, pair.b)]


def peft_contents(tensors: Iterable[TensorInfo], **changes: object) -> AdapterContents:
    """What PEFT's layout reads, with changes to the configuration."""
    return read_peft(list(tensors), peft_lora_config(lora_config(**changes), "config"), {})


def names_in(contents: AdapterContents) -> list[str]:
    """The name of every tensor, as often as it is accounted for."""
    pairs = (*contents.pairs, *contents.copies, *contents.other_adapters)
    values = [pair.values for pair in pairs if pair.values is not None]
    others = [tensor for tensor, _ in contents.others]
    held = (*tensors_of(*pairs), *values, *contents.incomplete, *others)
    return [tensor.name for tensor in held]


def rows_of(report: AuditReport) -> dict[str, LayerRow]:
    """Module → row of a report that has its rows."""
    assert isinstance(report.layer_data, LayerData)
    return {row.name: row for row in report.layer_data.layer_rows}


def findings_of(report: AuditReport) -> dict[str, Finding]:
    """Code → finding."""
    return {finding.code: finding for finding in report.findings}
