"""The spectra of LoRA updates every so many steps, reduced on the training device."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from gradience.core.errors import ConfigError
from gradience.core.spectra.gram import Floats
from gradience.core.training.live_spectra import (
    SPECTRAL_KIND,
    LiveSpectraPolicy,
    UpdateGrams,
    spectra_metrics,
)
from gradience.shell.trainer.lora_updates import LiveUpdate, live_updates
from gradience.shell.trainer.parts import TrainingRun

WITHOUT_FLOAT64 = frozenset({"mps"})
"""Types of devices that do not compute in float64."""

FLOAT32_COLUMNS = 256
"""Products that are summed in float32 there; the sums of so many are added in float64."""


class SpectraInFlight:
    """Records ``metrics`` of kind ``spectral`` every ``every`` steps.

    Each factor is reduced to an r × r Gram matrix in float64 on its own device (in float32, summed
    in float64, where the device has none), all of them come to the CPU in one transfer, and the
    rest is :func:`~gradience.core.training.live_spectra.spectra_metrics`. Factors are only read:
    no graph, no random numbers, and one factor widened at a time.

    Args:
        every: Steps between two looks, at least 1.
        policy: Digits and limits.

    Raises:
        ConfigError: ``every`` is below 1.
    """

    def __init__(self, every: int, policy: LiveSpectraPolicy | None = None) -> None:
        if every < 1:
            raise ConfigError(f"spectra every {every} steps: expected a number of at least 1")
        self._every = every
        self._policy = policy or LiveSpectraPolicy()

    def begin(self, run: TrainingRun, step: int) -> None:
        """Nothing: an untrained B is zero."""

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Nothing."""

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """Looks where it is time; never asks to stop."""
        if step % self._every == 0:
            run.metrics(step, kind=SPECTRAL_KIND, metrics=self.look(run.model))
        return False

    def log_fields(self) -> Mapping[str, object]:
        """None."""
        return {}

    def end(self, run: TrainingRun, step: int) -> None:
        """Nothing."""

    def look(self, model: torch.nn.Module) -> dict[str, object]:
        """The metrics of a model as it is now, with the ``wall_ms`` that they took."""
        begun = time.perf_counter()
        found = live_updates(model)
        grams = [update_grams(update) for update in found.updates]
        fetched = fetch([gram for pair in grams for gram in pair])
        updates = [
            _reduced(update, pair, fetched[2 * place], fetched[2 * place + 1])
            for place, (update, pair) in enumerate(zip(found.updates, grams, strict=True))
        ]
        metrics = spectra_metrics(updates, found.skipped, self._policy)
        return {**metrics, "wall_ms": round(1000 * (time.perf_counter() - begun), 3)}


class GramPair(NamedTuple):
    """Partial sums of A·Aᵀ and Bᵀ·B, each of shape (n, r, r), on the factors' devices."""

    a: torch.Tensor
    b: torch.Tensor


def update_grams(update: LiveUpdate) -> GramPair:
    """Both Gram matrices of an update, on the devices of its factors, not synchronised."""
    with torch.no_grad():
        return GramPair(
            partial_grams(update.a.detach().flatten(1)),
            partial_grams(update.b.detach().flatten(1).T),
        )


def partial_grams(rows: torch.Tensor, *, float64: bool | None = None) -> torch.Tensor:
    """X·Xᵀ as partial sums over columns.

    Args:
        rows: X, (r, d), of any floating dtype.
        float64: Whether to compute in float64; by default wherever the device does.

    Returns:
        (1, r, r) in float64, or (n, r, r) in float32, to be summed in float64.
    """
    if float64 is None:
        float64 = rows.device.type not in WITHOUT_FLOAT64
    if float64:
        wide = rows.to(torch.float64)
        return (wide @ wide.T)[None]
    blocks = torch.split(rows.to(torch.float32), FLOAT32_COLUMNS, dim=1)
    return torch.stack([block @ block.T for block in blocks])


def fetch(partials: Sequence[torch.Tensor]) -> list[Floats]:
    """Sums of the partial matrices on the CPU, in one transfer for each device and dtype."""
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, partial in enumerate(partials):
        groups.setdefault((partial.device, partial.dtype), []).append(place)
    sums: dict[int, Floats] = {}
    for places in groups.values():
        flat = torch.cat([partials[place].reshape(-1) for place in places]).cpu().numpy()
        ends = np.cumsum([partials[place].numel() for place in places])
        for place, values in zip(places, np.split(flat, ends[:-1]), strict=True):
            parts = values.reshape(tuple(partials[place].shape))
            sums[place] = parts.sum(axis=0, dtype=np.float64)
    return [sums[place] for place in range(len(partials))]


def _reduced(update: LiveUpdate, pair: GramPair, gram_a: Floats, gram_b: Floats) -> UpdateGrams:
    d_in, d_out = update.a.flatten(1).shape[1], update.b.shape[0]
    return UpdateGrams(
        module=update.module,
        gram_a=gram_a,
        gram_b=gram_b,
        kept=min(len(gram_a), d_in, d_out),
        scale=update.scale,
        single=torch.float32 in (pair.a.dtype, pair.b.dtype),
        dora=update.dora,
    )
