"""From stored factors to the matrices A (r, d_in) and B (d_out, r) of each update."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import FactorForm, LoraPair

Stored = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]
"""A factor as it was read; bfloat16 and float8 arrays (ml_dtypes) are fine at run time."""


class UpdateFactors(NamedTuple):
    """The factors of one update."""

    expert: int | None
    a: Stored
    """(r, d_in)."""
    b: Stored
    """(d_out, r)."""


def update_factors(
    pair: LoraPair, a: Stored, b: Stored, values: Stored | None = None
) -> Iterator[UpdateFactors]:
    """The matrices of a pair's update, or of each expert's.

    Views of the stored arrays wherever the layout allows it; nothing is mutated.

    Args:
        pair: The pair, whose shapes fit its form.
        a: The stored factor on the input's side.
        b: The stored factor on the output's side.
        values: AdaLoRA's E, (r, 1), for a pair that has them.

    Yields:
        One update, or one for each expert in order.
    """
    match pair.form:
        case FactorForm.TRANSPOSED:
            yield UpdateFactors(None, (a.T), (b.T))
        case FactorForm.EXPERT_STACK:
            for expert in range(a.shape[0]):
                yield UpdateFactors(expert, (a[expert]), (b[expert]))
        case FactorForm.EXPERT_ROWS:
            experts = pair.experts or 1
            r = a.shape[0] // experts
            for expert in range(experts):
                rows = slice(expert * r, (expert + 1) * r)
                yield UpdateFactors(expert, (a[rows]), (b[:, expert::experts]))
        case FactorForm.MATRICES:
            wide = a.reshape(a.shape[0], -1)
            tall = b.reshape(b.shape[0], -1)
            yield UpdateFactors(None, *_with_values(pair, wide, tall, values))


def difference_factors(now: UpdateFactors, initial: UpdateFactors) -> UpdateFactors:
    """Factors of B·A - B₀·A₀: [B, -B₀] and [A; A₀], of twice the rank.

    Args:
        now: The trained factors.
        initial: Those that training began with, of the same shapes.

    Returns:
        The stacked factors in float64.
    """
    a = np.concatenate([_wide(now.a), _wide(initial.a)], axis=0)
    b = np.concatenate([_wide(now.b), -_wide(initial.b)], axis=1)
    return UpdateFactors(now.expert, a, b)


def _with_values(
    pair: LoraPair, a: Stored, b: Stored, values: Stored | None
) -> tuple[Stored, Stored]:
    """AdaLoRA's kept directions, its values multiplied onto the rows of A."""
    if pair.kept is not None:
        kept = list(pair.kept)
        a, b = a[kept], b[:, kept]
        values = None if values is None else values.reshape(-1)[kept]
    if values is None:
        return a, b
    return _wide(a) * _wide(values).reshape(-1, 1), b


def _wide(array: Stored) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling NaN is raised when it is widened
        return np.asarray(array, dtype=np.float64)
