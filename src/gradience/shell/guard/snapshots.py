"""Snapshots: the trainable parameters and their optimizer state, on the CPU, and back in place."""

from collections.abc import Iterator, Mapping, MutableMapping
from itertools import zip_longest
from typing import NamedTuple, Protocol, cast

import attrs
import torch

from gradience.core.errors import ConfigError
from gradience.shell.guard.gradients import all_finite

BYTES_PER_MB = 2**20
"""A megabyte of ``memory_usage_mb``."""


class StatefulOptimizer(Protocol):
    """A torch optimizer, or a wrapper that shows the state of one, as accelerate's does."""

    @property
    def state(self) -> MutableMapping[torch.Tensor, object]:
        """Parameter → its state, a dictionary of tensors and numbers."""


class StoredTensor(NamedTuple):
    """A tensor's values on the CPU, and the device where it lives."""

    values: torch.Tensor
    device: torch.device


@attrs.frozen(kw_only=True)
class Snapshot:
    """Weights and moments after one step."""

    step: int
    weights: Mapping[str, torch.Tensor]
    """Parameter name → a copy on the CPU."""
    moments: Mapping[str, Mapping[str, object]] | None
    """Parameter name → a copy of its optimizer state, empty where it had none; None where no
    optimizer was given."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of all tensors that are held."""
        held = [*self.weights.values(), *_tensors(self.moments or {})]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)


@attrs.define
class SnapshotStore:
    """The snapshots that the guard's state speaks of, by step."""

    held: dict[int, Snapshot] = attrs.field(factory=dict)

    def add(self, snapshot: Snapshot, discarded: tuple[int, ...]) -> None:
        """Keeps a snapshot and lets go of others."""
        self.discard(discarded)
        self.held[snapshot.step] = snapshot

    def discard(self, steps: tuple[int, ...]) -> None:
        """Lets go of the snapshots of some steps."""
        for step in steps:
            self.held.pop(step, None)

    def memory_mb(self) -> float:
        """Measured size of all that is held, MiB."""
        return sum(snapshot.memory_bytes for snapshot in self.held.values()) / BYTES_PER_MB


def trainable_parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Every parameter that is trained: LoRA factors, modules_to_save, biases, or all of them."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def is_healthy(
    parameters: Mapping[str, torch.nn.Parameter], optimizer: StatefulOptimizer | None
) -> bool:
    """Whether all parameters, and all that the optimizer remembers of them, are finite."""
    tensors: list[torch.Tensor] = list(parameters.values())
    if optimizer is not None:
        tensors += [t for p in parameters.values() for t in _tensors(optimizer.state.get(p, {}))]
    return all_finite(tensors)


def take_snapshot(
    step: int,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: StatefulOptimizer | None,
) -> Snapshot:
    """Copies parameters and their optimizer state to the CPU; the caller checked their health.

    Args:
        step: The optimizer step after which this is.
        parameters: Name → trainable parameter.
        optimizer: Whose state of exactly those parameters is copied: tensors, numbers, and
            dictionaries, lists and tuples of them.

    Returns:
        The snapshot; nothing in it shares memory with the model or the optimizer.
    """
    weights = {name: _on_cpu(parameter) for name, parameter in parameters.items()}
    moments = None
    if optimizer is not None:
        moments = {name: _state_of(optimizer, p) for name, p in parameters.items()}
    return Snapshot(step=step, weights=weights, moments=moments)


def restore_snapshot(
    snapshot: Snapshot,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: StatefulOptimizer | None,
) -> None:
    """Puts weights and optimizer state back, in place.

    Parameters and state tensors keep their identity, device and dtype; state that did not exist
    at the snapshot is removed. Parameter groups (so the learning rate), the scheduler and the AMP
    scaler are left alone. Without an optimizer, or where the snapshot was taken without one, the
    weights alone are restored.

    Args:
        snapshot: What to go back to.
        parameters: The trainable parameters of now.
        optimizer: Whose state is restored.

    Raises:
        ConfigError: The trainable parameters are not those of the snapshot; nothing was changed.
    """
    _check_same_parameters(snapshot, parameters)
    with torch.no_grad():
        for name, saved in snapshot.weights.items():
            parameters[name].copy_(saved)
        if optimizer is not None and snapshot.moments is not None:
            for name, state in snapshot.moments.items():
                _restore_state(optimizer, parameters[name], state)


def _check_same_parameters(
    snapshot: Snapshot, parameters: Mapping[str, torch.nn.Parameter]
) -> None:
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    expected = {name: tuple(saved.shape) for name, saved in snapshot.weights.items()}
    if shapes != expected:
        names = shapes.keys() | expected.keys()
        name = min(name for name in names if shapes.get(name) != expected.get(name))
        raise ConfigError(
            f"snapshot of step {snapshot.step}: expected the trainable parameters of then, found "
            f"{name} with shape {shapes.get(name)} in place of {expected.get(name)}. Take a new "
            "snapshot after adapters are added, removed or resized."
        )


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True)


def _state_of(optimizer: StatefulOptimizer, parameter: torch.Tensor) -> dict[str, object]:
    # .get: indexing the optimizer's defaultdict would leave an empty entry behind
    state = optimizer.state.get(parameter, {})
    return cast("dict[str, object]", _copied(state))


def _copied(value: object) -> object:
    """The same structure with every tensor stored."""
    if isinstance(value, torch.Tensor):
        return StoredTensor(_on_cpu(value), value.device)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_copied(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _restore_state(
    optimizer: StatefulOptimizer, parameter: torch.Tensor, saved: Mapping[str, object]
) -> None:
    if not saved:
        optimizer.state.pop(parameter, None)
        return
    present = optimizer.state.get(parameter)
    optimizer.state[parameter] = _restored(present, saved)


def _restored(present: object, saved: object) -> object:
    """What stands in place of ``present``: itself with the saved values where it can hold them."""
    if isinstance(saved, StoredTensor):
        if isinstance(present, torch.Tensor) and present.shape == saved.values.shape:
            return present.copy_(saved.values)
        return saved.values.to(saved.device, copy=True)
    if isinstance(saved, Mapping):
        return _restored_mapping(present, saved)
    if isinstance(saved, list | tuple):
        there = list(present) if isinstance(present, list | tuple) else []
        items = [_restored(a, b) for a, b in zip_longest(there[: len(saved)], saved)]
        return items if isinstance(saved, list) else tuple(items)
    return saved


def _restored_mapping(present: object, saved: Mapping[str, object]) -> object:
    target: MutableMapping[str, object] = present if isinstance(present, MutableMapping) else {}
    for key in [key for key in target if key not in saved]:
        del target[key]
    for key, value in saved.items():
        target[key] = _restored(target.get(key), value)
    return target


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in a structure of dictionaries and sequences."""
    if isinstance(value, StoredTensor):
        yield value.values
    elif isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
