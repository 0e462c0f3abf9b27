"""The largest singular value of a matrix by Golub-Kahan-Lanczos bidiagonalisation."""

from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.dominance.bidiagonalisation import (
    Floats,
    Matrix,
    bidiagonalise,
    matrix_map,
    ritz_triplets,
)


@attrs.frozen(kw_only=True)
class LanczosPolicy:
    """When the iteration stops."""

    tolerance: float = 1e-8
    """Residual relative to the estimate. A singular value lies within it, but not always the
    largest: with values σ₁ and (1 - g)·σ₁ the iteration stops at the second where the start's
    share of the first is below tolerance/g, which has probability 2/π·tolerance/g. For the
    promised 1e-4 that is below 1e-4 whatever g is; a tolerance of 1e-4 itself would fail often."""
    tolerance_at_limit: float = 5e-5
    """What must have been reached when the limit is."""
    max_iterations: int = 300
    """A Gaussian 4096 x 4096, the worst case met, takes about 100."""
    looked_at_each: int = 8
    """Up to so many steps the residual is worked out after each, ..."""
    looked_at_every: int = 4
    """... and later after every so many: the SVD of B costs half of a pass over W."""


class SpectralNorm(NamedTuple):
    """‖W‖₂ and how it was reached."""

    value: float
    residual: float
    """‖Wᵀu - σv‖ relative to σ; a singular value lies within it of ``value``."""
    iterations: int
    """Each reads W twice."""
    converged: bool


def spectral_norm(
    weight: Matrix, start: Floats, policy: LanczosPolicy | None = None
) -> SpectralNorm:
    """‖W‖₂ = max ‖Wx‖/‖x‖, from below, stopped on the residual.

    What is certain: ``value`` ≤ ‖W‖₂ to rounding, and a singular value lies within ``residual`` of
    it, relatively. That it is the largest has high probability over a start drawn uniformly from
    all directions: after k steps λ = σ² is short by a relative ε with probability at most
    1.648·√n·exp(-√ε·(2k - 1)), whatever the spectrum, and with a gap the error falls
    exponentially (Kuczyński & Woźniakowski 1992, thm. 4.2; Halko, Martinsson & Tropp 2011, §10,
    for the same of block iterations). Values closer together than the tolerance are not told
    apart, and need not be.

    Args:
        weight: W, shape (m, n), float32 or float64, finite; not mutated. Products are taken in
            its precision, everything else in float64.
        start: The start vector, shape (n,), float64, independent standard normal entries; the
            caller draws it. Of a wide matrix only its first m entries are used.
        policy: Tolerance and limit.

    Returns:
        The norm; 0 for an empty or zero matrix. Not converged where the limit was reached, or the
        products overflowed or vanished in W's precision.

    References:
        Kuczyński & Woźniakowski 1992, "Estimating the largest eigenvalue by the power and Lanczos
        algorithms with a random start"; Halko, Martinsson & Tropp 2011, "Finding structure with
        randomness".
    """
    policy = policy or LanczosPolicy()
    if weight.shape[0] < weight.shape[1]:
        # The basis that is kept is the short side's.
        weight, start = weight.T, start[: weight.shape[0]]
    n = weight.shape[1]
    steps = min(n, policy.max_iterations)
    found = SpectralNorm(0.0, 0.0, 0, converged=not steps)
    with np.errstate(over="ignore", invalid="ignore"):
        for k, state in enumerate(bidiagonalise(matrix_map(weight), start, steps), start=1):
            ended = k == steps or not state.beta > 0
            if not ended and k > policy.looked_at_each and k % policy.looked_at_every:
                continue
            triplets = ritz_triplets(state)
            value = float(triplets.values[0])
            if not value > 0:
                return found._replace(iterations=k, converged=not weight.any())
            residual = float(triplets.residuals[0]) / value
            reached = policy.tolerance_at_limit if k == steps else policy.tolerance
            found = SpectralNorm(value, residual, k, converged=residual <= reached or k == n)
            if found.converged:
                return found
    return found
