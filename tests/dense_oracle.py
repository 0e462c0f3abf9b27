"""An audit by brute force: the raw file, s·B·A in float64, NumPy's SVD, naive formulas.

Shares no code with the package, so that agreement means something.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PREFIX = "base_model.model."
COPIES = ("modules_to_save", "original_module")
DENSE_ELEMENTS = 2_000_000
"""ΔW is formed, smallest first, for as many modules of an adapter as this comes to."""


class RawModule(NamedTuple):
    """A module's factors in float64 and the scale that the raw config gives it."""

    name: str
    a: Floats
    b: Floats
    scale: float

    @property
    def elements(self) -> int:
        """Size of the dense update."""
        return int(self.a.shape[1]) * int(self.b.shape[0])


def raw_scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """PEFT's rule, written down again."""
    alpha = config.get("lora_alpha", 8)
    for key, value in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            alpha = value
            break
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def raw_modules(folder: Path) -> Iterator[RawModule]:
    """Every module of a PEFT adapter's folder."""
    config = json.loads((folder / "adapter_config.json").read_text())
    safetensors = folder / "adapter_model.safetensors"
    tensors = raw_tensors(safetensors if safetensors.exists() else folder / "adapter_model.bin")
    for key, a in tensors.items():
        if not key.endswith(".lora_A.weight") or any(copy in key for copy in COPIES):
            continue
        b = tensors[key.replace(".lora_A.", ".lora_B.")]
        name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        yield RawModule(name, a, b, raw_scale(config, name, a.shape[0]))


def mlx_modules(folder: Path) -> Iterator[RawModule]:
    """Every module of an mlx-lm adapter's folder: y = x·W + scale·(x·a)·b."""
    tensors = raw_tensors(folder / "adapters.safetensors")
    scale = json.loads((folder / "adapter_config.json").read_text())["lora_parameters"]["scale"]
    for key, a in tensors.items():
        if key.endswith(".lora_a"):
            name = key.removesuffix(".lora_a")
            yield RawModule(name, a.T, tensors[f"{name}.lora_b"].T, float(scale))


def kohya_modules(file: Path) -> Iterator[RawModule]:
    """Every module of a kohya file, convolutions flattened."""
    tensors = raw_tensors(file)
    for key, down in tensors.items():
        if key.endswith("lora_down.weight"):
            name = key.removesuffix("lora_down.weight")[:-1]
            up, alpha = tensors[key.replace("lora_down", "lora_up")], tensors.get(f"{name}.alpha")
            scale = 1.0 if alpha is None else float(alpha.sum()) / len(down)
            yield RawModule(name, down.reshape(len(down), -1), up.reshape(len(up), -1), scale)


def cloneofsimo_modules(file: Path) -> Iterator[RawModule]:
    """Every numbered module of a cloneofsimo file."""
    tensors = raw_tensors(file)
    for key, down in tensors.items():
        if key.endswith(":down"):
            name = key.removesuffix(":down")
            yield RawModule(name, down, tensors[f"{name}:up"], 1.0)


def dense_singular_values(module: RawModule) -> Floats:
    """Of the formed product s·B·A, all min(d_in, d_out) of them."""
    update = module.scale * (module.b @ module.a)
    return np.linalg.svd(update, compute_uv=False).astype(np.float64)


def thin_singular_values(module: RawModule) -> Floats:
    """Of s·B·A through the SVDs of both factors: what the dense route gives, for large layers."""
    _, sigma_a, v_a = np.linalg.svd(module.a.T, full_matrices=False)
    _, sigma_b, v_b = np.linalg.svd(module.b, full_matrices=False)
    core = (sigma_b[:, None] * v_b) @ (v_a.T * sigma_a)
    return module.scale * np.linalg.svd(core, compute_uv=False).astype(np.float64)


def dense_within_budget(modules: list[RawModule]) -> list[RawModule]:
    """The smallest modules, at least one, whose dense updates are formed in good time."""
    ordered = sorted(modules, key=lambda module: module.elements)
    sizes = np.cumsum([module.elements for module in ordered])
    return ordered[: max(1, int(np.count_nonzero(sizes <= DENSE_ELEMENTS)))]


def naive_stable_rank(sigma: Floats) -> float:
    """Σσ² / σ₁²."""
    return float((sigma**2).sum() / sigma.max() ** 2)


def naive_effective_rank(sigma: Floats) -> float:
    """exp(H(σ/Σσ)), summed in plain Python."""
    shares = [float(value / sigma.sum()) for value in sigma]
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


def naive_energy_rank(sigma: Floats, threshold: float) -> int:
    """The least k by trying each."""
    total = float((sigma**2).sum())
    for k in range(1, sigma.size + 1):
        if float((sigma[:k] ** 2).sum()) >= threshold * total * (1 - 1e-12):
            return k
    return int(sigma.size)


def assert_same_values(found: Floats, expected: Floats) -> None:
    """Every value within 3e-8 σ₁, and within 1e-6 relative above 1e-4 σ₁."""
    top = expected[0]
    padded = np.zeros_like(expected)
    padded[: found.size] = found[: expected.size]
    assert np.abs(padded - expected).max() <= 3e-8 * top
    large = expected > 1e-4 * top
    assert (np.abs(padded - expected)[large] <= 1e-6 * expected[large]).all()


def raw_tensors(file: Path) -> dict[str, Floats]:
    """Every tensor of a file, in float64."""
    import torch
    from safetensors.torch import load_file

    if file.suffix == ".safetensors":
        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
    return {key: tensor.double().numpy() for key, tensor in state.items()}
