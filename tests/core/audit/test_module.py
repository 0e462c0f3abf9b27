"""One module's audit: quantities, scale, and what makes a module unreadable."""

import math

import attrs
import numpy as np
import pytest

from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config
from gradience.core.audit.module import (
    ModuleOptions,
    audit_module,
    pair_problem,
    unreadable_module,
)
from gradience.core.audit.report import LayerRow, ModuleStatus
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.severity import Severity
from tests.adapter_files import Q_PROJ, factors, lora_config, tensor_pair
from tests.dense_oracle import naive_effective_rank, naive_stable_rank


def _config(**changes: object) -> PeftLoraConfig:
    return peft_lora_config(lora_config(**changes), "config")


def _row(base: BaseNorms | None = None, top: int = 0, **changes: object) -> LayerRow:
    options = ModuleOptions(top_singular_values=top)
    pair = tensor_pair()
    return audit_module(pair, _config(**changes), *factors(), base=base, options=options).row


def test_a_row_tells_name_place_and_size() -> None:
    row = _row()
    assert (row.name, row.module_type, row.layer) == (Q_PROJ, "attn", 0)
    assert row.layer_name == "model.layers.0"
    assert (row.r, row.alpha, row.scale, row.params) == (4, 8.0, 2.0, 4 * 12 + 10 * 4)
    assert (row.a_shape, row.b_shape, row.status) == ((4, 12), (10, 4), ModuleStatus.OK)


def test_quantities_are_of_the_scaled_update() -> None:
    a, b = (factor.astype(np.float64) for factor in factors())
    sigma = np.linalg.svd(b @ a, compute_uv=False)[:4].astype(np.float64)
    row = _row(top=2)
    assert row.sigma_max == pytest.approx(sigma[0])
    assert row.frob_sq == pytest.approx(float((sigma**2).sum()))
    assert row.delta_sigma_max == pytest.approx(2 * sigma[0])
    assert row.delta_fro_norm == pytest.approx(2 * math.sqrt((sigma**2).sum()))
    assert row.top_singular_values == pytest.approx(tuple(2 * sigma[:2]))
    assert row.stable_rank == pytest.approx(naive_stable_rank(sigma))
    assert row.effective_rank == pytest.approx(naive_effective_rank(sigma))
    assert row.utilization == pytest.approx(naive_stable_rank(sigma) / 4)


def test_rslora_scales_by_the_root() -> None:
    assert _row(use_rslora=True).scale == 4.0


def test_the_scale_takes_the_rank_of_the_weights() -> None:
    assert _row(r=16, lora_alpha=16).scale == 4.0


@pytest.mark.parametrize(
    ("alpha", "code", "status"),
    [
        (0, "zero_scale", ModuleStatus.UNTRAINED),
        (1e308, "scale_overflow", ModuleStatus.NONFINITE),
    ],
)
def test_a_scale_that_leaves_no_update_is_an_error(
    alpha: float, code: str, status: ModuleStatus
) -> None:
    a, b = (factor.astype(np.float64) * 1e3 for factor in factors())
    found = audit_module(tensor_pair(dtype="F64"), _config(lora_alpha=alpha), a, b)
    assert [(f.code, f.severity) for f in found.findings] == [(code, Severity.ERROR)]
    assert (found.row.status, found.row.stable_rank) == (status, None)


def test_an_empty_pair_is_unreadable() -> None:
    pair = tensor_pair(dtype="F32")
    empty = attrs.evolve(pair, a=pair.a._replace(shape=(0, 16)), b=pair.b._replace(shape=(16, 0)))
    problem = pair_problem(empty)
    assert problem is not None
    assert "are empty" in problem.message


def test_norms_of_the_update_are_never_negative() -> None:
    row = _row(lora_alpha=-8, top=1)
    assert row.delta_sigma_max == pytest.approx(2 * (row.sigma_max or 0))
    assert (row.delta_fro_norm or 0.0) >= 0
    assert min(row.top_singular_values) >= 0


def test_a_base_weight_gives_ratios() -> None:
    row = _row(base=BaseNorms(10.0, 20.0))
    assert (row.base_sigma_max, row.base_fro_norm) == (10.0, 20.0)
    assert row.udr == pytest.approx((row.delta_sigma_max or 0) / 10)
    assert row.udr_f == pytest.approx((row.delta_fro_norm or 0) / 20)
    assert row.sdi == pytest.approx(math.log10(row.udr or 0), abs=1e-9)


@pytest.mark.parametrize("zero", [0, 1])
def test_a_zero_factor_is_untrained_and_has_no_quantities(zero: int) -> None:
    pair = factors()
    pair[zero][:] = 0
    found = audit_module(tensor_pair(), _config(), *pair)
    assert found.row.status is ModuleStatus.UNTRAINED
    assert (found.row.stable_rank, found.row.energy_rank_90) == (None, None)
    assert found.singular_values.size == 0


@pytest.mark.parametrize(("side", "name"), [(0, "lora_A"), (1, "lora_B")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_values_are_an_error_that_names_the_factor(
    side: int, name: str, bad: float
) -> None:
    pair = factors()
    pair[side][0, :2] = bad
    found = audit_module(tensor_pair(), _config(), *pair)
    assert found.row.status is ModuleStatus.NONFINITE
    assert found.row.stable_rank is None
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("nonfinite_factor", Severity.ERROR)
    assert f"(2 in {name})" in finding.message


@pytest.mark.parametrize("dtype", ["I8", "U8", "I4", "BOOL", "torch.int8", "C64"])
def test_factors_that_are_no_floats_are_refused(dtype: str) -> None:
    problem = pair_problem(tensor_pair(dtype=dtype))
    assert problem is not None
    assert (problem.code, problem.severity) == ("unreadable_pair", Severity.ERROR)
    assert dtype in problem.message


def test_factors_of_different_rank_are_refused() -> None:
    pair = tensor_pair(a_shape=(4, 12), b_shape=(10, 3))
    problem = pair_problem(pair)
    assert problem is not None
    assert "differ in rank" in problem.message
    found = unreadable_module(pair, _config(), problem)
    assert found.row.status is ModuleStatus.UNREADABLE
    assert found.findings == (problem,)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_float_factors_are_fine(dtype: str) -> None:
    assert pair_problem(tensor_pair(dtype=dtype)) is None


@pytest.mark.parametrize("size", [1e-70, 1e70])
def test_double_precision_factors_of_any_size_are_audited(size: float) -> None:
    a, b = (factor.astype(np.float64) * size for factor in factors())
    row = audit_module(tensor_pair(dtype="F64"), _config(), a, b).row
    assert row.stable_rank == pytest.approx(_row().stable_rank)
    assert row.energy_rank_90 == _row().energy_rank_90


def test_norms_whose_squares_overflow_do_not_end_the_audit() -> None:
    a, b = (factor.astype(np.float64) * 1e100 for factor in factors())
    assert audit_module(tensor_pair(dtype="F64"), _config(), a, b).row.r == 4
