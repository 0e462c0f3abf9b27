"""Looks at gradients and weights without changing them; one synchronisation on a healthy step."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn.utils import get_total_norm

from gradience.shell.gradient_norms import BackwardNorms, local_values


class GradientLook(NamedTuple):
    """What the gradients and the weights are before the optimizer's step."""

    nonfinite_grads: bool
    grad_norm: float
    """L2 norm over all trainable parameters; 0.0 where there is no gradient."""
    weights_finite: bool


class PreClipNorm:
    """Measures the norm of each gradient when it is accumulated, before anything clips it.

    The Trainer clips before ``on_pre_optimizer_step``, and what it measured on the way comes to a
    callback only with the logged steps. Under data parallelism the gradients are the reduced ones,
    so that every process sees the same norm.

    Args:
        parameters: The trainable parameters.
        scale: Multiplies a tensor by the present factor of an AMP loss scaler, as the gradients
            still are while they accumulate; without synchronising.
    """

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        scale: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self._scale = scale
        self._backward = BackwardNorms(parameters)

    def read(self) -> torch.Tensor | None:
        """The norm over all gradients since the last call, on the device; None without any."""
        found = self._backward.take()
        if found is None:
            return None
        total: torch.Tensor = torch.linalg.vector_norm(found.norms)
        return total if self._scale is None else total / self._scale(torch.ones_like(total))

    def detach(self) -> None:
        """Takes the hooks off."""
        self._backward.detach()


def look_at(
    parameters: Sequence[torch.nn.Parameter], norm: torch.Tensor | None = None
) -> GradientLook:
    """Looks at the gradients and values of some parameters.

    Args:
        parameters: The trainable parameters, of any dtype, on any devices.
        norm: The gradients' norm before clipping, where it was measured.

    Returns:
        ``grad_norm`` is ``norm`` where given, else that of the gradients as they are. A norm that
        only overflows is infinite while ``nonfinite_grads`` is False: telling the two apart takes
        a second synchronisation, which healthy steps do without.
    """
    with torch.no_grad():
        grads = [local_values(p.grad) for p in parameters if p.grad is not None]
        present, weight = get_total_norm(grads), get_total_norm(list(parameters))
        total = present if norm is None else norm
        found = torch.stack([t.to(weight.device, torch.float32) for t in (total, present, weight)])
        total_norm, grads_norm, weights_norm = found.tolist()
    return GradientLook(
        nonfinite_grads=not (math.isfinite(grads_norm) or _elements_finite(grads)),
        grad_norm=total_norm,
        weights_finite=math.isfinite(weights_norm) or _elements_finite(list(parameters)),
    )


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether no floating-point tensor holds NaN or an infinity (one synchronisation)."""
    floating = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    with torch.no_grad():
        return math.isfinite(get_total_norm(floating).item()) or _elements_finite(floating)


def drop_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Leaves the optimizer nothing to apply: neither parameters nor moments will change."""
    for parameter in parameters:
        parameter.grad = None


@torch.no_grad()
def _elements_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """The same by magnitudes, which do not overflow; several times slower on a CPU."""
    return math.isfinite(get_total_norm(tensors, math.inf).item())
