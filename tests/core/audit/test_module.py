"""One module's audit: quantities, scale, and what makes a module unreadable."""

import math

import attrs
import numpy as np
import pytest

from gradience.core.adapter.factors import UpdateFactors
from gradience.core.adapter.scaling import ModuleScaling
from gradience.core.adapter.tensors import FactorForm, TensorInfo
from gradience.core.audit.module import (
    ModuleAudit,
    ModuleOptions,
    audit_module,
    pruned_module,
    row_of,
    unreadable_module,
)
from gradience.core.audit.pair_problems import pair_problem
from gradience.core.audit.report import LayerRow, ModuleStatus
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.severity import Severity
from gradience.shell.null_draws import null_for
from tests.adapter_files import Q_PROJ, Array, Factors, factors, tensor_pair
from tests.dense_oracle import naive_effective_rank, naive_stable_rank


def _audit(
    a: Array, b: Array, base: BaseNorms | None = None, top: int = 0, scale: float = 2.0
) -> ModuleAudit:
    pair = tensor_pair(scaling=ModuleScaling(4, 4 * scale, scale))
    options = ModuleOptions(top_singular_values=top)
    return audit_module(pair, UpdateFactors(None, a, b), base=base, options=options)


def _doubles(size: float) -> Factors:
    a, b = factors()
    return a.astype(np.float64) * size, b.astype(np.float64) * size


def _row(base: BaseNorms | None = None, top: int = 0, scale: float = 2.0) -> LayerRow:
    return _audit(*factors(), base=base, top=top, scale=scale).row


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


def test_an_experts_row_has_its_number() -> None:
    pair = attrs.evolve(
        tensor_pair("layers.3.mlp.experts.down_proj", (20, 12), (10, 20)),
        form=FactorForm.EXPERT_ROWS,
        experts=5,
    )
    row = row_of(pair, ModuleStatus.OK, 2)
    assert (row.name, row.module) == (f"{pair.module}[2]", pair.module)
    assert (row.expert, row.r, row.layer) == (2, 4, 3)
    assert (row.a_shape, row.b_shape, row.params) == ((4, 12), (10, 4), 88)


def test_adaloras_values_count_as_parameters() -> None:
    pair = attrs.evolve(tensor_pair(), values=TensorInfo("e", (4, 1), "F32"))
    assert row_of(pair, ModuleStatus.OK).params == 4 * 12 + 10 * 4 + 4


def test_a_pruned_module_has_rank_zero_and_no_numbers() -> None:
    pair = attrs.evolve(tensor_pair(), values=TensorInfo("e", (4, 1), "F32"), kept=())
    found = pruned_module(pair)
    assert (found.row.status, found.row.r, found.row.params) == (ModuleStatus.PRUNED, 0, 0)
    assert (found.row.stable_rank, found.singular_values.size, found.findings) == (None, 0, ())


@pytest.mark.parametrize(
    ("scale", "code", "status", "words"),
    [
        (
            0,
            "zero_scale",
            ModuleStatus.UNTRAINED,
            "alpha 0 scales the update by 0: it does nothing",
        ),
        (2e307, "scale_overflow", ModuleStatus.NONFINITE, "it is beyond the floats"),
    ],
)
def test_a_scale_that_leaves_no_update_is_an_error(
    scale: float, code: str, status: ModuleStatus, words: str
) -> None:
    found = _audit(*_doubles(1e3), scale=scale)
    (finding,) = found.findings
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert finding.message.startswith(f"{Q_PROJ}: ")
    assert words in finding.message
    assert "lora_alpha" in finding.remedy
    assert (found.row.status, found.row.stable_rank) == (status, None)


def test_norms_of_the_update_are_never_negative() -> None:
    row = _row(scale=-2.0, top=1)
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
    found = _audit(*pair)
    assert found.row.status is ModuleStatus.UNTRAINED
    assert (found.row.stable_rank, found.row.energy_rank_90) == (None, None)
    assert found.singular_values.size == 0


def test_factors_whose_product_is_zero_are_untrained() -> None:
    a, b = factors()
    a[:2], b[:, 2:] = 0, 0
    found = _audit(a, b)
    assert (found.row.status, found.findings) == (ModuleStatus.UNTRAINED, ())


@pytest.mark.parametrize(("side", "name"), [(0, "lora_A"), (1, "lora_B")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_values_are_an_error_that_names_the_factor(
    side: int, name: str, bad: float
) -> None:
    pair = factors()
    pair[side][0, :2] = bad
    found = _audit(*pair)
    assert found.row.status is ModuleStatus.NONFINITE
    assert found.row.stable_rank is None
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("nonfinite_factor", Severity.ERROR)
    assert f"(2 in {name})" in finding.message


def test_an_unreadable_pair_keeps_its_problem() -> None:
    pair = tensor_pair(a_shape=(4, 12), b_shape=(10, 3))
    problem = pair_problem(pair)
    assert problem is not None
    found = unreadable_module(pair, problem)
    assert found.row.status is ModuleStatus.UNREADABLE
    assert found.findings == (problem,)


@pytest.mark.parametrize("size", [1e-70, 1e70])
def test_double_precision_factors_of_any_size_are_audited(size: float) -> None:
    row = _audit(*_doubles(size)).row
    assert row.stable_rank == pytest.approx(_row().stable_rank)
    assert row.energy_rank_90 == _row().energy_rank_90


def test_norms_whose_squares_overflow_do_not_end_the_audit() -> None:
    assert _audit(*_doubles(1e100)).row.r == 4


def test_a_null_gives_the_same_quantities_of_noise() -> None:
    null = null_for(4, 10, 12)
    found = audit_module(tensor_pair(), UpdateFactors(None, *factors()), null=null)
    row = found.row
    assert row.stable_rank_null is not None
    assert row.utilization_null == pytest.approx(row.stable_rank_null / 4)
    assert row.utilization_vs_null == pytest.approx((row.stable_rank or 0) / row.stable_rank_null)
    assert abs(row.stable_rank_z or 99.0) < 4
