"""Pairs the two factors of every module."""

from collections.abc import Iterable
from typing import NamedTuple

from gradience.core.adapter.tensors import TensorInfo

A_SIDE, B_SIDE = "A", "B"


class Factor(NamedTuple):
    """One factor and the module that its name gives it."""

    module: str
    side: str
    """``A``, on the input's side, or ``B``."""
    tensor: TensorInfo


class Pairing(NamedTuple):
    """Modules with both factors, in the order of their first tensor, and factors left alone."""

    complete: dict[str, tuple[TensorInfo, TensorInfo]]
    """Module → (A, B)."""
    incomplete: tuple[TensorInfo, ...]


def pair_factors(factors: Iterable[Factor]) -> Pairing:
    """Pairs factors by module.

    Args:
        factors: The factors of a file. Of a side that a module has twice the first is taken, and
            the other one is left alone.

    Returns:
        Every factor, once, in a pair or alone.
    """
    sides: dict[str, dict[str, TensorInfo]] = {}
    again: list[TensorInfo] = []
    for factor in factors:
        side = sides.setdefault(factor.module, {})
        if side.setdefault(factor.side, factor.tensor) is not factor.tensor:
            again.append(factor.tensor)
    complete = {
        module: (side[A_SIDE], side[B_SIDE])
        for module, side in sides.items()
        if side.keys() == {A_SIDE, B_SIDE}
    }
    alone = (t for module, side in sides.items() if module not in complete for t in side.values())
    return Pairing(complete, (*alone, *again))
