"""Norms of tensors, and of gradients as each backward pass leaves them, without synchronising."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.utils.hooks import RemovableHandle


class MeasuredNorms(NamedTuple):
    """Norms of some of the parameters' tensors."""

    places: tuple[int, ...]
    """Which of the parameters."""
    norms: torch.Tensor
    """(n,), float32 (float64 where a tensor is), on the device of the first."""


class BackwardNorms:
    """Measures every gradient when a backward pass is complete, before anything clips it.

    The Trainer clips before ``on_pre_optimizer_step``, and clipping by a norm that is not finite
    spoils all gradients, so that nothing tells any more where it began. Under data parallelism the
    gradients are the reduced ones: the measurement is queued behind the end of the pass, where
    DistributedDataParallel writes them back. With gradient accumulation the last pass of a step
    counts, with all that was accumulated. Gradients are only read; nothing is raised into the
    backward pass.

    Args:
        parameters: The trainable parameters.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self._parameters = tuple(parameters)
        self._queued = False
        self._found: MeasuredNorms | None = None
        self._error: Exception | None = None
        self._hooks: list[RemovableHandle] = [
            parameter.register_post_accumulate_grad_hook(self._queue_once)  # type: ignore[no-untyped-call]  # untyped in torch
            for parameter in self._parameters
        ]

    def take(self) -> MeasuredNorms | None:
        """The norms after the last backward pass since the last call; None without any.

        Raises:
            Exception: Whatever went wrong while they were measured.
        """
        found, self._found, self._queued = self._found, None, False
        if self._error is not None:
            raise self._error
        return found

    def detach(self) -> None:
        """Takes the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _queue_once(self, parameter: torch.Tensor) -> None:
        del parameter
        if not self._queued:
            self._queued = True
            _after_backward(self._at_end)

    def _at_end(self) -> None:
        # what is queued here comes after all that was queued during the pass
        _after_backward(self._measure)

    def _measure(self) -> None:
        self._queued = False
        try:
            self._found = gradient_norms(self._parameters)
        except Exception as error:  # noqa: BLE001  training goes on; take() tells
            self._error = error


def gradient_norms(parameters: Sequence[torch.nn.Parameter]) -> MeasuredNorms | None:
    """L2 norms of the gradients that there are, of this process's part where they are sharded."""
    return _measured([parameter.grad for parameter in parameters])


def parameter_norms(parameters: Sequence[torch.nn.Parameter]) -> MeasuredNorms | None:
    """L2 norms of the parameters, likewise."""
    return _measured(parameters)


def _measured(tensors: Sequence[torch.Tensor | None]) -> MeasuredNorms | None:
    with torch.no_grad():
        held = [(place, local_values(t)) for place, t in enumerate(tensors) if t is not None]
        held = [(place, t) for place, t in held if t.numel() and t.is_floating_point()]
        if not held:
            return None
        places, values = zip(*held, strict=True)
        double = any(tensor.dtype is torch.float64 for tensor in values)
        width = torch.float64 if double else torch.float32
        found = torch._foreach_norm(list(values), 2.0, width)  # noqa: SLF001  as torch's own clipping
        device = found[0].device
        near = [norm if norm.device == device else norm.to(device) for norm in found]
        return MeasuredNorms(places, torch.stack(near))


def local_values(tensor: torch.Tensor) -> torch.Tensor:
    """Its values: the stored ones of a sparse tensor, this process's of a distributed one."""
    if tensor.is_sparse:
        return tensor.coalesce().values()
    to_local = getattr(tensor, "to_local", None)
    return to_local() if callable(to_local) else tensor


def _after_backward(callback: Callable[[], None]) -> None:
    """Runs a callback at the end of the present backward pass, as torch's FSDP does."""
    torch.autograd.Variable._execution_engine.queue_callback(callback)  # noqa: SLF001  the only door
