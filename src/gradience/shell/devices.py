"""Where X·Xᵀ is computed: NumPy on the CPU, or torch on an accelerator."""

from typing import TYPE_CHECKING

import numpy as np

from gradience.core.errors import ConfigError, MissingDependencyError
from gradience.core.spectra.gram import BFLOAT16, Factor, Floats, GramReduction

if TYPE_CHECKING:
    import torch

CPU = "cpu"
"""The device that needs no torch."""


def gram_on(device: str) -> GramReduction | None:
    """The reduction on a device.

    Args:
        device: ``cpu`` (NumPy), or a device of torch such as ``cuda`` or ``cuda:1``.

    Returns:
        The reduction; None for NumPy.

    Raises:
        MissingDependencyError: The device needs torch, which is not installed.
        ConfigError: torch has no such device here.
    """
    if device == CPU:
        return None
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"device {device}: needs torch, which is not installed. Install the build of torch "
            "that fits your machine, or leave --device out."
        ) from error
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError(
            f"device {device}: expected a device of torch that computes in float64, found: "
            f"{str(error).splitlines()[0]}. Leave --device out to compute with NumPy."
        ) from error
    return torch_gram(device)


def torch_gram(device: str) -> GramReduction:
    """X·Xᵀ with torch: the factor is moved as it is stored and widened on the device."""
    import torch

    def gram(rows: Factor) -> Floats:
        with torch.inference_mode():
            wide = _tensor(rows).to(device).to(torch.float64)
            product: Floats = (wide @ wide.T).cpu().numpy()
        return product

    return gram


def _tensor(rows: Factor) -> "torch.Tensor":
    """A tensor of the same values; torch does not know the float types of ml_dtypes."""
    import torch

    order = rows if rows.flags.c_contiguous else rows.T
    kinds = {
        BFLOAT16: (np.int16, torch.bfloat16),
        "float8_e4m3fn": (np.uint8, torch.float8_e4m3fn),
        "float8_e5m2": (np.uint8, torch.float8_e5m2),
    }
    if rows.dtype.name in kinds:
        bits, kind = kinds[rows.dtype.name]
        tensor = torch.from_numpy(np.array(order.view(bits))).view(kind)
    else:
        tensor = torch.from_numpy(np.array(order))
    return tensor if order is rows else tensor.T
