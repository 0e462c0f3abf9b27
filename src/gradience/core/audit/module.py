"""The audit of one update: from its two factors to one row."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.factors import Stored, UpdateFactors
from gradience.core.adapter.module_names import layer_place, module_type
from gradience.core.adapter.tensors import LoraPair
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.dominance.ratios import BaseNorms, update_ratio
from gradience.core.severity import Severity
from gradience.core.spectra.gram import GramReduction
from gradience.core.spectra.null_baseline import NullBaseline, compare_with_null
from gradience.core.spectra.quantities import (
    effective_rank,
    energy_rank,
    frobenius_norm,
    stable_rank,
)
from gradience.core.spectra.reduction import (
    ReductionPolicy,
    Route,
    count_nonfinite,
    lora_spectrum,
)

Floats = NDArray[np.float64]

NOTHING: Floats = np.zeros(0)
"""The spectrum of a module that has none."""


class ModuleAudit(NamedTuple):
    """An update's row, its singular values (of B·A, unscaled), and what was wrong with it."""

    row: LayerRow
    singular_values: Floats
    findings: tuple[Finding, ...] = ()
    null: NullBaseline | None = None


@attrs.frozen(kw_only=True)
class ModuleOptions:
    """How an update is audited."""

    top_singular_values: int = 0
    """How many singular values stand in the row."""
    exact: bool = False
    """Reduces by QR always."""
    reduction: ReductionPolicy = ReductionPolicy()
    gram: GramReduction | None = None
    """Where X·Xᵀ is computed; NumPy by default."""


def row_of(pair: LoraPair, status: ModuleStatus, expert: int | None = None) -> LayerRow:
    """The row of an update, without the quantities of its spectrum."""
    d_out, d_in = pair.update_shape
    place = layer_place(pair.module)
    return LayerRow(
        name=pair.module if expert is None else f"{pair.module}[{expert}]",
        module=pair.module,
        expert=expert,
        module_type=module_type(pair.module).value,
        layer=place.number if place else None,
        layer_name=place.name if place else None,
        status=status,
        r=pair.rank,
        alpha=pair.scaling.alpha,
        scale=pair.scaling.scale,
        a_key=pair.a.name,
        b_key=pair.b.name,
        a_shape=(pair.rank, d_in),
        b_shape=(d_out, pair.rank),
        params=pair.rank * (d_in + d_out + (pair.values is not None)),
    )


def unreadable_module(pair: LoraPair, problem: Finding) -> ModuleAudit:
    """The audit of a pair whose factors do not make an update."""
    return ModuleAudit(row_of(pair, ModuleStatus.UNREADABLE), NOTHING, (problem,))


def pruned_module(pair: LoraPair) -> ModuleAudit:
    """The audit of a pair that AdaLoRA pruned to rank 0."""
    return ModuleAudit(row_of(pair, ModuleStatus.PRUNED), NOTHING)


def audit_module(
    pair: LoraPair,
    update: UpdateFactors,
    *,
    base: BaseNorms | None = None,
    null: NullBaseline | None = None,
    options: ModuleOptions | None = None,
) -> ModuleAudit:
    """Audits one update.

    Args:
        pair: The pair that the update belongs to.
        update: Its factors A (r, d_in) and B (d_out, r).
        base: The norms of the module's base weight.
        null: The baseline of noise of that shape and rank.
        options: What to compute.

    Returns:
        The row. A zero factor or scale makes it ``untrained``, a NaN or infinity (in the factors
        or in the scaled update) ``nonfinite``; neither has quantities.
    """
    options = options or ModuleOptions()
    spectrum = lora_spectrum(
        update.a, update.b, exact=options.exact, policy=options.reduction, gram=options.gram
    )
    if spectrum.route is Route.NONFINITE:
        row = row_of(pair, ModuleStatus.NONFINITE, update.expert)
        return ModuleAudit(row, NOTHING, (_nonfinite_finding(row, update, options.reduction),))
    if spectrum.route is Route.ZERO or not spectrum.singular_values.any():
        return ModuleAudit(row_of(pair, ModuleStatus.UNTRAINED, update.expert), NOTHING)
    row = row_of(pair, ModuleStatus.OK, update.expert)
    if not 0 < abs(row.scale) * float(spectrum.singular_values[0]) < math.inf:
        return _unscalable(row)
    values = spectrum.singular_values
    row = _with_null(_with_quantities(row, values, base, options), values, null)
    return ModuleAudit(row, values, null=null)


def _unscalable(row: LayerRow) -> ModuleAudit:
    """A module whose update is zero or beyond the floats because of its scale."""
    zero = row.scale == 0
    finding = Finding(
        severity=Severity.ERROR,
        code="zero_scale" if zero else "scale_overflow",
        message=f"{row.name}: alpha {row.alpha:g} scales the update by {row.scale:g}: it "
        + ("does nothing" if zero else "is beyond the floats"),
        remedy="Correct lora_alpha or alpha_pattern in adapter_config.json.",
        modules=(row.name,),
    )
    status = ModuleStatus.UNTRAINED if zero else ModuleStatus.NONFINITE
    return ModuleAudit(msgspec.structs.replace(row, status=status), NOTHING, (finding,))


def _with_quantities(
    row: LayerRow, values: Floats, base: BaseNorms | None, options: ModuleOptions
) -> LayerRow:
    size = abs(row.scale)
    sigma_max, fro = float(values[0]), frobenius_norm(values)
    stable = stable_rank(values)
    ratio = update_ratio(size * sigma_max, size * fro, base) if base else None
    return msgspec.structs.replace(
        row,
        stable_rank=stable,
        effective_rank=effective_rank(values),
        utilization=None if stable is None else stable / row.r,
        sigma_max=sigma_max,
        frob_sq=fro * fro,
        energy_rank_90=energy_rank(values, 0.90),
        energy_rank_95=energy_rank(values, 0.95),
        energy_rank_99=energy_rank(values, 0.99),
        delta_sigma_max=size * sigma_max,
        delta_fro_norm=size * fro,
        base_sigma_max=base.sigma_max if base else None,
        base_fro_norm=base.fro if base else None,
        udr=ratio.udr if ratio else None,
        udr_f=ratio.udr_f if ratio else None,
        sdi=ratio.sdi if ratio else None,
        top_singular_values=tuple((size * values[: options.top_singular_values]).tolist()),
    )


def _with_null(row: LayerRow, values: Floats, null: NullBaseline | None) -> LayerRow:
    found = compare_with_null(values, null) if null else None
    return row if found is None else msgspec.structs.replace(row, **msgspec.structs.asdict(found))


def _nonfinite_finding(row: LayerRow, update: UpdateFactors, policy: ReductionPolicy) -> Finding:
    factors: Sequence[tuple[str, Stored]] = (("lora_A", update.a), ("lora_B", update.b))
    counts = ((name, count_nonfinite(factor, policy)) for name, factor in factors)
    places = ", ".join(f"{count} in {name}" for name, count in counts if count)
    return Finding(
        severity=Severity.ERROR,
        code="nonfinite_factor",
        message=f"{row.name}: NaN or infinite values ({places})",
        remedy="Do not use this adapter; go back to the last checkpoint whose weights are finite.",
        modules=(row.name,),
    )
