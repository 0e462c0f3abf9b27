"""Intruder dimensions: leading directions of W + ΔW that are none of W's."""

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.dominance.base_norms import frobenius_norm
from gradience.core.dominance.bidiagonalisation import (
    Floats,
    LinearMap,
    RitzTriplets,
    bidiagonalise,
    matrix_map,
    ritz_triplets,
    times,
)
from gradience.core.dominance.intruder_result import IntruderResult, TopDirection, Verdict
from gradience.core.dominance.spectral_measure import AtomBounds, MeasurePolicy, atom_bounds


@attrs.frozen(kw_only=True)
class IntruderPolicy:
    """What an intruder is, and when the iterations stop."""

    top_k: int = 10
    """Leading left singular vectors of W + ΔW looked at (PEFT's default)."""
    threshold: float = 0.5
    """|cos| below which none of W's is the same direction (PEFT's default; the paper varies it)."""
    tolerance: float = 1e-8
    """Residual of each leading direction relative to σ₁, as small as for the spectral norm and
    for the same reason: a start may hold little of one of two close directions."""
    max_iterations: int = 400
    """A Gaussian 4096 x 4096, whose leading values stand close, takes 200, one with outliers 50."""
    looked_at_every: int = 8
    rank_tolerance: float = 1e-6
    """σ of W + ΔW below this share of σ₁ is rounding, in float32, and has no direction."""
    measure: MeasurePolicy = MeasurePolicy()


def intruder_dimensions(
    weight: NDArray[np.float32],
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    scale: float,
    start: Floats,
    *,
    policy: IntruderPolicy | None = None,
) -> IntruderResult:
    """Leading left singular vectors u of W + s·B·A with max |cos(u, uᵢ)| < threshold over W's uᵢ.

    Neither W + ΔW nor a dense SVD is formed: the leading directions come from bidiagonalisation
    of x ↦ Wx + s·B(Ax), and each is then held against all singular vectors of W at once by bounds
    of its spectral measure (:func:`~gradience.core.dominance.spectral_measure.atom_bounds`).

    Args:
        weight: W, shape (m, n) = (d_out, d_in), float32, oriented like the update; not mutated.
        a: lora_A, shape (r, n), float32.
        b: lora_B, shape (m, r), float32.
        scale: s.
        start: Shape (n,), float64, independent standard normal entries; the caller draws it. Of a
            wide matrix (m < n) only its first m entries are used.
        policy: Threshold, number of directions, and limits.

    Returns:
        The directions with bounds and verdicts, fewer than ``top_k`` where the rank of W + ΔW is
        lower. No directions but a reason where W or the update is zero, empty or not finite (a
        zero update has 0 intruders, the others None), or the iteration did not settle. A singular
        value of W + ΔW that is exactly repeated is met once.

    Raises:
        ValueError: The shapes do not fit.

    References:
        Shuttleworth et al. 2024, "LoRA vs full fine-tuning: an illusion of equivalence"
        (arXiv:2410.21228), §3; PEFT's ``reduce_intruder_dimension`` for the defaults.
    """
    policy = policy or IntruderPolicy()
    m, n = weight.shape
    if a.shape[1:] != (n,) or b.shape != (m, a.shape[0]) or start.shape != (n,):
        raise ValueError(
            f"expected lora_A (r, {n}), lora_B ({m}, r) and start ({n},) for a weight of shape "
            f"{weight.shape}, found {a.shape}, {b.shape} and {start.shape}"
        )
    nothing = _nothing_to_look_for(weight, a, b, scale)
    if nothing is not None:
        return nothing
    with np.errstate(over="ignore", invalid="ignore"):
        leading = _leading_directions(_updated(weight, a, b, scale), start, policy)
    if isinstance(leading, str):
        return _without(leading)
    values, vectors = leading
    base, typical = matrix_map(weight), frobenius_norm(weight) / math.sqrt(min(m, n))
    directions = tuple(
        _judged(i, float(values[i]), _bounds(base, vectors[i], typical, policy), policy)
        for i in range(len(values))
    )
    found = tuple(d.index for d in directions if d.verdict is Verdict.INTRUDER)
    undecided = sum(d.verdict is Verdict.UNDECIDED for d in directions)
    return IntruderResult(
        n_intruders=len(found), n_undecided=undecided, indices=found, directions=directions
    )


def _without(reason: str, n_intruders: int | None = None) -> IntruderResult:
    return IntruderResult(n_intruders=n_intruders, n_undecided=n_intruders, reason=reason)


def _nothing_to_look_for(
    weight: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32], scale: float
) -> IntruderResult | None:
    norms = {"the weight": frobenius_norm(weight), "lora_A": frobenius_norm(a)}
    norms["lora_B"] = frobenius_norm(b)
    broken = [name for name, norm in norms.items() if not math.isfinite(norm)]
    if broken:
        return _without(f"{broken[0]} holds NaN or infinite values")
    if not math.isfinite(scale):
        return _without(f"the scale is {scale}")
    if not norms["the weight"] > 0:
        return _without("the weight is zero")
    if not norms["lora_A"] * norms["lora_B"] * abs(scale) > 0:
        return _without("the update is zero", 0)
    return None


def _updated(
    weight: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32], scale: float
) -> LinearMap:
    """W + s·B·A by its products."""

    def forward(x: Floats) -> Floats:
        return times(weight, x) + scale * times(b, times(a, x))

    def backward(y: Floats) -> Floats:
        return times(weight.T, y) + scale * times(a.T, times(b.T, y))

    m, n = weight.shape
    return LinearMap((m, n), forward, backward)


def _leading_directions(
    operator: LinearMap, start: Floats, policy: IntruderPolicy
) -> tuple[Floats, Floats] | str:
    """Singular values and left singular vectors as rows, or why they are not known."""
    wide = operator.shape[0] < operator.shape[1]
    short = operator.transposed() if wide else operator
    n = short.shape[1]
    steps = min(n, policy.max_iterations)
    for k, state in enumerate(bidiagonalise(short, start[:n], steps), start=1):
        ended = not state.beta > 0 or k == n
        if not ended and k % policy.looked_at_every and k < steps:
            continue
        triplets = ritz_triplets(state)
        if ended or _settled(triplets, policy):
            top = triplets.values[: policy.top_k]
            top = top[top > policy.rank_tolerance * top[0]]
            rows = triplets.right[: len(top)] @ state.basis
            return top, rows if wide else np.array([operator.times(row) for row in rows]) / top[
                :, None
            ]
    return f"the leading directions of the updated weight did not settle in {steps} iterations"


def _settled(triplets: RitzTriplets, policy: IntruderPolicy) -> bool:
    enough = len(triplets.values) > policy.top_k
    leading = triplets.residuals[: policy.top_k]
    return enough and bool((leading <= policy.tolerance * triplets.values[0]).all())


def _bounds(base: LinearMap, vector: Floats, scale: float, policy: IntruderPolicy) -> AtomBounds:
    """The bounds as soon as they decide, or the last."""
    bounds = AtomBounds(0.0, 1.0)
    for found in atom_bounds(base, vector, scale, policy.measure):
        bounds = found
        if not bounds.lower < policy.threshold <= bounds.upper:
            break
    return bounds


def _judged(
    index: int, singular_value: float, bounds: AtomBounds, policy: IntruderPolicy
) -> TopDirection:
    verdict = Verdict.UNDECIDED
    if bounds.upper < policy.threshold:
        verdict = Verdict.INTRUDER
    elif bounds.lower >= policy.threshold:
        verdict = Verdict.KNOWN
    return TopDirection(
        index=index,
        singular_value=singular_value,
        cosine_lower=bounds.lower,
        cosine_upper=bounds.upper,
        verdict=verdict,
    )
