"""What a search for intruder dimensions found, as a report holds it."""

from enum import Enum

import msgspec


class Verdict(Enum):
    """Whether a direction of W + ΔW is new."""

    INTRUDER = "intruder"
    """Its cosine with each left singular vector of W is below the threshold: the upper bound is."""
    KNOWN = "not"
    """A left singular vector of W at or above the threshold was found."""
    UNDECIDED = "undecided"
    """The bounds lie on both sides of the threshold after the most steps."""


class TopDirection(msgspec.Struct, frozen=True, kw_only=True):
    """One leading left singular vector of W + ΔW against all of W's."""

    index: int
    """0 is the direction of the largest singular value."""
    singular_value: float
    """Of W + ΔW."""
    cosine_lower: float
    """The largest |cos| with a left singular vector of W is at least this, ..."""
    cosine_upper: float
    """... and at most this."""
    verdict: Verdict


class IntruderResult(msgspec.Struct, frozen=True, kw_only=True):
    """The intruder dimensions of one module."""

    n_intruders: int | None
    """None where they could not be looked for, for the ``reason``."""
    n_undecided: int | None
    indices: tuple[int, ...] = ()
    """The intruders among ``directions``."""
    directions: tuple[TopDirection, ...] = ()
    reason: str | None = None
