"""How a vector is shared out over the left singular vectors of a matrix, from a few products.

The measure of u puts the mass |uᵢᵀu|² at σᵢ, for each left singular vector uᵢ of W. Its first
moments are known after some steps of bidiagonalisation that start from u, and bound its atoms.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.dominance.bidiagonalisation import (
    Bidiagonal,
    Floats,
    LinearMap,
    bidiagonalise,
    ritz_triplets,
)

GROWN = 1e12
"""Σp² beyond which it is not followed: it bounds an atom by 1e-12."""


@attrs.frozen(kw_only=True)
class MeasurePolicy:
    """How far and how finely a measure is followed."""

    max_steps: int = 120
    """Measured on 4096 x 4096 with outliers: 6 to 30; on Gaussian ones, whose leading values
    stand close: up to 64."""
    looked_at_every: int = 4
    resolution: float = 1e-3
    """Singular values closer than this, relatively, count as one direction when an atom is said
    to have been found; the upper bound does not use it."""
    smallest_value: float = 1e-2
    """Directions with σ below this share of the scale count as the null space of W, from which
    few steps cannot tell them; of a square Gaussian matrix those are 1 in 150."""
    halvings: int = 12
    """The upper bound is looked for at 2⁻¹ ... 2⁻ʰ of the way between neighbouring nodes, from
    both ends: its peaks stand near the nodes and are as narrow as these have converged."""
    refinements: int = 4
    """Times that the best point's surroundings are searched again, ..."""
    points: int = 16
    """... at so many points."""


class AtomBounds(NamedTuple):
    """Bounds of the largest |cos| between u and a left singular vector of W."""

    lower: float
    upper: float


def atom_bounds(
    operator: LinearMap, vector: Floats, scale: float, policy: MeasurePolicy | None = None
) -> Iterator[AtomBounds]:
    """Bounds of the largest |uᵢᵀu|, ever closer.

    Upper: the mass at x is at most 1/Σⱼpⱼ(x)², with pⱼ the orthonormal polynomials of the measure
    (Christoffel's function; Akhiezer 1965, ch. 2), whose maximum over x is searched for on points
    that thicken towards the nodes. Lower: of a Ritz vector with residual τ at most τ/δ lies on
    singular vectors outside σ ± δ, δ being the resolution (Parlett 1998, §11.7).

    Args:
        operator: W, shape (m, n); finite.
        vector: u, shape (m,), of norm 1; not mutated.
        scale: The size to which ``smallest_value`` relates, > 0: the root mean square of W's
            singular values, which a few outliers do not move as they do σ₁.
        policy: How far and how finely.

    Yields:
        The best bounds so far, ``lower`` ≤ ``upper``, every few steps and when the space is
        exhausted; the mass of repeated singular values is counted together. Nothing for an
        empty matrix.

    References:
        Akhiezer 1965, "The classical moment problem"; Golub & Meurant 2010, "Matrices, moments
        and quadrature with applications", ch. 6; Parlett 1998, "The symmetric eigenvalue problem".
    """
    policy = policy or MeasurePolicy()
    m = operator.shape[0]
    steps = min(m, policy.max_steps) if operator.shape[1] else 0
    cut = policy.smallest_value * scale
    lower, upper = 0.0, 1.0
    for k, state in enumerate(bidiagonalise(operator.transposed(), vector, steps), start=1):
        exhausted = not state.beta > 0 or k == m
        if not exhausted and k % policy.looked_at_every and k < steps:
            continue
        triplets = ritz_triplets(state)
        nodes, cosines = triplets.values, np.abs(triplets.right[:, 0])
        seen = nodes >= cut
        largest = float(np.max(cosines[seen], initial=0.0))
        if exhausted:
            yield AtomBounds(largest, largest)
            return
        leaks = triplets.residuals[seen] / (policy.resolution * nodes[seen])
        lower = max(lower, float(np.max(cosines[seen] - leaks, initial=0.0)))
        between = _largest_between(state, _points(nodes[seen], cut, policy), policy)
        upper = min(upper, max(largest, math.sqrt(between)))
        yield AtomBounds(min(lower, upper), upper)


def _points(nodes: Floats, cut: float, policy: MeasurePolicy) -> Floats:
    """Ascending values of σ from ``cut`` to the last node; above it the bound only falls."""
    edges = np.concatenate([[cut], nodes[::-1]])
    parts = 0.5 ** np.arange(1, policy.halvings + 1)
    shares = np.unique(np.concatenate([[0.0], parts, 1.0 - parts]))
    points: Floats = edges[:-1, None] + np.diff(edges)[:, None] * shares
    return np.append(points.ravel(), edges[-1])


def _largest_between(state: Bidiagonal, points: Floats, policy: MeasurePolicy) -> float:
    """The largest value of Christoffel's function from the first to the last of the points."""
    largest = 0.0
    for _ in range(policy.refinements + 1):
        values = _christoffel(state, points)
        best = int(np.argmax(values))
        largest = max(largest, float(values[best]))
        around = points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)]
        points = np.linspace(*around, policy.points)
    return largest


def _christoffel(state: Bidiagonal, points: Floats) -> Floats:
    """1/Σⱼ pⱼ(σ²)² for the k polynomials that the state knows, shape (p,)."""
    gram = state.matrix.T @ state.matrix
    diagonal, beside = np.diag(gram), np.diag(gram, 1)
    previous, current = np.zeros_like(points), np.ones_like(points)
    total, before = np.ones_like(points), 0.0
    for a, b in zip(diagonal[:-1], beside, strict=True):
        following = ((points**2 - a) * current - before * previous) / b
        total += following**2
        followed = total < GROWN
        previous, current = np.where(followed, current, 0.0), np.where(followed, following, 0.0)
        before = float(b)
    inverse: Floats = 1.0 / total
    return inverse
