"""The audit of one module: from its two factors to one row."""

import math
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.module_names import layer_place, module_type
from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.scaling import lora_scaling, module_scaling
from gradience.core.adapter.tensors import LoraPair
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.dominance.ratios import BaseNorms, update_ratio
from gradience.core.severity import Severity
from gradience.core.spectra.quantities import (
    effective_rank,
    energy_rank,
    frobenius_norm,
    stable_rank,
)
from gradience.core.spectra.reduction import (
    Factor,
    ReductionPolicy,
    Route,
    count_nonfinite,
    lora_spectrum,
)

Floats = NDArray[np.float64]

FLOAT_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
"""Types of factors that are numbers as they stand; integer factors need a scale that no
adapter format defines."""

NOTHING: Floats = np.zeros(0)
"""The spectrum of a module that has none."""


class ModuleAudit(NamedTuple):
    """A module's row, its singular values (of B·A, unscaled), and what was wrong with it."""

    row: LayerRow
    singular_values: Floats
    findings: tuple[Finding, ...] = ()


def pair_problem(pair: LoraPair) -> Finding | None:
    """Why the two factors of a pair cannot be multiplied as they are, from their headers alone."""
    a, b = pair.a, pair.b
    if 0 in (*a.shape, *b.shape):
        problem = f"lora_A {a.shape} and lora_B {b.shape} are empty"
    elif a.shape[0] != b.shape[1]:
        problem = f"lora_A {a.shape} and lora_B {b.shape} differ in rank"
    elif {a.dtype, b.dtype} - FLOAT_DTYPES:
        problem = f"factors of dtype {a.dtype} and {b.dtype} are no floating-point numbers"
    else:
        return None
    return Finding(
        severity=Severity.ERROR,
        code="unreadable_pair",
        message=f"{pair.module}: {problem}",
        remedy="Save the adapter again with PEFT's save_pretrained.",
        modules=(pair.module,),
    )


def row_of(pair: LoraPair, config: PeftLoraConfig, status: ModuleStatus) -> LayerRow:
    """The row of a module, without the quantities of its spectrum."""
    configured = module_scaling(config, pair.module)
    r = pair.a.shape[0]
    scale = lora_scaling(configured.alpha, max(r, 1), use_rslora=config.use_rslora)
    place = layer_place(pair.module)
    return LayerRow(
        name=pair.module,
        module_type=module_type(pair.module).value,
        layer=place.number if place else None,
        layer_name=place.name if place else None,
        status=status,
        r=r,
        alpha=configured.alpha,
        scale=scale,
        a_key=pair.a.name,
        b_key=pair.b.name,
        a_shape=pair.a.shape,
        b_shape=pair.b.shape,
        params=int(np.prod(pair.a.shape) + np.prod(pair.b.shape)),
    )


def unreadable_module(pair: LoraPair, config: PeftLoraConfig, problem: Finding) -> ModuleAudit:
    """The audit of a pair that :func:`pair_problem` objected to."""
    row = row_of(pair, config, ModuleStatus.UNREADABLE)
    return ModuleAudit(row, NOTHING, (problem,))


@attrs.frozen(kw_only=True)
class ModuleOptions:
    """How a module is audited."""

    top_singular_values: int = 0
    """How many singular values stand in the row."""
    exact: bool = False
    """Reduces by QR always."""
    reduction: ReductionPolicy = ReductionPolicy()


def audit_module(
    pair: LoraPair,
    config: PeftLoraConfig,
    a: Factor,
    b: Factor,
    *,
    base: BaseNorms | None = None,
    options: ModuleOptions | None = None,
) -> ModuleAudit:
    """Audits one module.

    Args:
        pair: The factors' names and shapes; :func:`pair_problem` found nothing wrong with them.
        config: The adapter's configuration.
        a: lora_A, shape (r, d_in).
        b: lora_B, shape (d_out, r).
        base: The norms of the module's base weight.
        options: What to compute.

    Returns:
        The row. A zero factor or scale makes the module ``untrained``, a NaN or infinity (in the
        factors or in the scaled update) ``nonfinite``; neither has quantities.
    """
    options = options or ModuleOptions()
    bad = count_nonfinite(a, options.reduction), count_nonfinite(b, options.reduction)
    if any(bad):
        row = row_of(pair, config, ModuleStatus.NONFINITE)
        return ModuleAudit(row, NOTHING, (_nonfinite_finding(pair, *bad),))
    spectrum = lora_spectrum(a, b, exact=options.exact, policy=options.reduction)
    if spectrum.route is Route.ZERO:
        return ModuleAudit(row_of(pair, config, ModuleStatus.UNTRAINED), NOTHING)
    row = row_of(pair, config, ModuleStatus.OK)
    if not 0 < abs(row.scale) * float(spectrum.singular_values[0]) < math.inf:
        return _unscalable(row)
    return ModuleAudit(
        _with_quantities(row, spectrum.singular_values, base, options), spectrum.singular_values
    )


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


def _nonfinite_finding(pair: LoraPair, in_a: int, in_b: int) -> Finding:
    places = [f"{n} in {name}" for n, name in ((in_a, "lora_A"), (in_b, "lora_B")) if n]
    return Finding(
        severity=Severity.ERROR,
        code="nonfinite_factor",
        message=f"{pair.module}: NaN or infinite values ({', '.join(places)})",
        remedy="Do not use this adapter; go back to the last checkpoint whose weights are finite.",
        modules=(pair.module,),
    )
