"""Adapters built with one thing out of the ordinary each, audited from their folder."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import DTypeLike
from safetensors.numpy import save_file

from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport, ModuleStatus
from gradience.core.errors import AdapterError, ConfigError, UnsupportedAdapterError
from gradience.core.severity import Severity
from gradience.shell import audit as audit_module
from gradience.shell import workers
from gradience.shell.audit import AuditRequest, run_audit
from gradience.shell.audit_base import BaseRequest
from tests.adapter_files import (
    PREFIX,
    Q_PROJ,
    UP_PROJ,
    Array,
    factors,
    findings_of,
    lora_config,
    rows_of,
    state_dict,
    write_adapter,
    write_modules,
)
from tests.dense_oracle import assert_same_values, dense_singular_values, raw_modules

SHARDS = {f"{PREFIX}{Q_PROJ}.lora_{side}.weight": np.ones(24) for side in "AB"}
OTHER_FORMS = {
    "embedding": {
        f"{PREFIX}embed.lora_embedding_A": factors(d_in=9)[0],
        f"{PREFIX}embed.lora_embedding_B": factors()[1],
    },
    "convolution": {
        f"{PREFIX}conv.lora_A.weight": factors(d_in=12)[0].reshape(4, 3, 2, 2),
        f"{PREFIX}conv.lora_B.weight": factors()[1].reshape(10, 4, 1, 1),
    },
}


def _audit(folder: Path, base_model: Path | None = None) -> AuditReport:
    base = BaseRequest(model=str(base_model)) if base_model else None
    policy = AuditPolicy(layers=True)
    return run_audit(AuditRequest(place=folder, base=base, policy=policy))


@pytest.mark.parametrize(
    "dtype",
    [np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2],
)
def test_every_float_dtype_gives_the_dense_values(tmp_path: Path, dtype: DTypeLike) -> None:
    a, b = factors()
    folder = write_modules(tmp_path, {Q_PROJ: (a.astype(dtype), b.astype(dtype))})
    (module,) = raw_modules(folder)
    row = rows_of(_audit(folder))[Q_PROJ]
    sigma = dense_singular_values(module)
    assert row.delta_sigma_max == pytest.approx(sigma[0], rel=1e-9)
    assert row.delta_fro_norm == pytest.approx(np.linalg.norm(sigma), rel=1e-9)


@pytest.mark.parametrize(
    "state",
    [
        state_dict({Q_PROJ: factors()}, adapter="default"),
        state_dict({Q_PROJ: factors()}, prefix=PREFIX + PREFIX),
        state_dict({Q_PROJ: factors()}, prefix=""),
    ],
    ids=["adapter_name", "doubled_prefix", "no_prefix"],
)
def test_other_key_forms_name_the_same_module(tmp_path: Path, state: dict[str, Array]) -> None:
    plain = _audit(write_modules(tmp_path / "plain", {Q_PROJ: factors()}))
    other = _audit(write_adapter(tmp_path / "other", state))
    assert other.stable_rank_mean == plain.stable_rank_mean
    assert set(rows_of(other)) == {Q_PROJ}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_nonfinite_factors_are_an_error_and_stay_out_of_the_means(
    tmp_path: Path, side: int, bad: float
) -> None:
    broken = factors(seed=1)
    broken[side][2, 1] = bad
    report = _audit(write_modules(tmp_path, {Q_PROJ: factors(), UP_PROJ: broken}))
    finding = findings_of(report)["nonfinite_factor"]
    assert (finding.severity, finding.modules) == (Severity.ERROR, (UP_PROJ,))
    assert report.stable_rank_mean == rows_of(report)[Q_PROJ].stable_rank
    assert rows_of(report)[UP_PROJ].status is ModuleStatus.NONFINITE


@pytest.mark.parametrize("lost", ["A", "B"])
def test_half_a_pair_is_an_error(tmp_path: Path, lost: str) -> None:
    state = state_dict({Q_PROJ: factors(), UP_PROJ: factors()})
    del state[f"{PREFIX}{UP_PROJ}.lora_{lost}.weight"]
    report = _audit(write_adapter(tmp_path, state))
    assert findings_of(report)["incomplete_pair"].severity is Severity.ERROR
    assert report.n_layers == 1


def test_only_half_pairs_make_a_report_without_modules(tmp_path: Path) -> None:
    state = {f"{PREFIX}{Q_PROJ}.lora_A.weight": factors()[0]}
    report = _audit(write_adapter(tmp_path, state))
    assert (report.n_layers, report.stable_rank_mean) == (0, None)
    assert report.issues


def test_factors_that_do_not_multiply_are_an_error(tmp_path: Path) -> None:
    wrong = factors(r=4)[0], factors(r=3)[1]
    report = _audit(write_modules(tmp_path, {Q_PROJ: factors(), UP_PROJ: wrong}))
    assert findings_of(report)["unreadable_pair"].modules == (UP_PROJ,)
    assert rows_of(report)[UP_PROJ].status is ModuleStatus.UNREADABLE


def test_integer_factors_are_refused_and_not_taken_for_zeros(tmp_path: Path) -> None:
    a, b = factors()
    state = state_dict({Q_PROJ: ((9 * a).astype(np.int8), (9 * b).astype(np.int8))})
    report = _audit(write_adapter(tmp_path, state))
    assert "I8" in findings_of(report)["unreadable_pair"].message
    assert "untrained" not in findings_of(report)


def test_the_weights_rank_is_taken_where_the_config_differs(tmp_path: Path) -> None:
    report = _audit(write_modules(tmp_path, {Q_PROJ: factors(r=4)}, r=8))
    assert findings_of(report)["rank_mismatch"].severity is Severity.ERROR
    assert rows_of(report)[Q_PROJ].r == 4


def test_patterns_without_a_module_are_told(tmp_path: Path) -> None:
    changes: dict[str, object] = {"rank_pattern": {"k_proj": 2}, "target_modules": ["q_proj", "x"]}
    found = findings_of(_audit(write_modules(tmp_path, {Q_PROJ: factors()}, **changes)))
    assert found["pattern_unmatched"].modules == ("k_proj",)
    assert found["target_unmatched"].modules == ("x",)


@pytest.mark.parametrize("zero", [0, 1])
def test_a_zero_factor_is_untrained_without_a_suggested_rank(tmp_path: Path, zero: int) -> None:
    pair = factors()
    pair[zero][:] = 0
    report = _audit(write_modules(tmp_path, {Q_PROJ: pair}))
    assert "untrained" in findings_of(report)
    assert (report.suggested_r_global_median, report.energy_rank_90_p50) == (None, None)
    assert report.n_layers_untrained == 1


def test_what_is_not_audited_is_told(tmp_path: Path) -> None:
    state = {**state_dict({UP_PROJ: factors()}), **SHARDS}
    report = _audit(write_adapter(tmp_path, state))
    assert set(findings_of(report)["not_audited"].modules) == set(SHARDS)
    assert sum(report.other_tensors.values()) == 2
    assert report.n_layers == 1


@pytest.mark.parametrize("module", OTHER_FORMS)
def test_embeddings_and_convolutions_are_the_dense_matrix(tmp_path: Path, module: str) -> None:
    state = OTHER_FORMS[module]
    (row,) = rows_of(_audit(write_adapter(tmp_path, state))).values()
    a, b = (factor.reshape(factor.shape[0], -1).astype(np.float64) for factor in state.values())
    sigma = np.linalg.svd(2 * b @ a, compute_uv=False)
    assert row.delta_sigma_max == pytest.approx(sigma[0], rel=1e-9)
    assert row.delta_fro_norm == pytest.approx(np.linalg.norm(sigma), rel=1e-9)


def test_every_expert_of_a_stack_has_a_row(tmp_path: Path) -> None:
    pairs = [factors(seed=seed) for seed in range(3)]
    state = {
        f"{PREFIX}experts.lora_A.weight": np.stack([a for a, _ in pairs]),
        f"{PREFIX}experts.lora_B.weight": np.stack([b for _, b in pairs]),
    }
    rows = rows_of(_audit(write_adapter(tmp_path, state)))
    assert list(rows) == [f"experts[{number}]" for number in range(3)]
    for row, (a, b) in zip(rows.values(), pairs, strict=True):
        sigma = np.linalg.svd(2 * b.astype(np.float64) @ a.astype(np.float64), compute_uv=False)
        assert row.delta_sigma_max == pytest.approx(sigma[0], rel=1e-9)


def test_dora_magnitudes_are_counted_and_told(tmp_path: Path) -> None:
    magnitude = {f"{PREFIX}{Q_PROJ}.lora_magnitude_vector": np.ones(10)}
    state = {**state_dict({Q_PROJ: factors()}), **magnitude}
    report = _audit(write_adapter(tmp_path, state, lora_config(use_dora=True)))
    assert report.other_tensors == {"DoRA magnitude": 1}
    assert findings_of(report)["dora"].severity is Severity.INFO


@pytest.mark.parametrize("state", [{}, {"score.weight": np.ones(2)}, SHARDS])
def test_a_file_without_pairs_is_refused(tmp_path: Path, state: dict[str, Array]) -> None:
    with pytest.raises(UnsupportedAdapterError, match="expected LoRA factors of a known layout"):
        _audit(write_adapter(tmp_path, state))


def test_a_pickle_gives_the_same_numbers(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    before = _audit(folder)
    state = {k: torch.from_numpy(v) for k, v in state_dict({Q_PROJ: factors()}).items()}
    torch.save(state, folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    after = _audit(folder)
    assert after.adapter_weights_path.endswith(".bin")
    assert (after.layer_data, after.gain) == (before.layer_data, before.gain)


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_refused(tmp_path: Path, missing: str) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    (folder / missing).unlink()
    with pytest.raises(AdapterError, match=r"adapter_config|layout|adapter_model"):
        _audit(folder)


def test_a_pattern_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="regular expression"):
        _audit(write_modules(tmp_path, {Q_PROJ: factors()}, rank_pattern={"q_proj(": 4}))


def test_udr_is_that_of_dense_numpy(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "adapter", {Q_PROJ: factors(), UP_PROJ: factors(seed=1)})
    base = np.random.default_rng(5).standard_normal((10, 12)).astype(np.float32)
    save_file({f"{Q_PROJ}.weight": base}, tmp_path / "model.safetensors")
    report = _audit(folder, base_model=tmp_path)
    module = next(raw for raw in raw_modules(folder) if raw.name == Q_PROJ)
    row, sigma = rows_of(report)[Q_PROJ], dense_singular_values(module)
    assert row.udr == pytest.approx(sigma[0] / np.linalg.norm(base, 2), rel=1e-4)
    assert row.udr_f == pytest.approx(np.linalg.norm(sigma) / np.linalg.norm(base), rel=1e-4)
    assert findings_of(report)["no_base_norm"].modules == (UP_PROJ,)
    assert report.n_layers_with_udr == 1


def test_progress_is_told_after_each_module(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = write_modules(tmp_path, {Q_PROJ: factors(), UP_PROJ: factors()})
    run_audit(AuditRequest(place=folder, on_module=lambda *counts: told.append(counts)))
    assert told == [(1, 2), (2, 2)]


def test_the_values_in_a_row_are_those_of_the_update(tmp_path: Path) -> None:
    from gradience.api import audit

    folder = write_modules(tmp_path, {Q_PROJ: factors()}, use_rslora=True)
    report = audit(folder, top_singular_values=9, policy=AuditPolicy(layers=True))
    (module,) = raw_modules(folder)
    found = np.array(rows_of(report)[Q_PROJ].top_singular_values)
    assert_same_values(found, dense_singular_values(module)[:4])


@pytest.mark.parametrize("cores", [1, 2])
def test_threads_change_neither_numbers_nor_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    modules = {f"model.layers.{i}.self_attn.q_proj": factors(seed=i) for i in range(9)}
    folder = write_modules(tmp_path, modules)
    plain = _audit(folder)
    monkeypatch.setattr(audit_module, "PARALLEL_ELEMENTS", 0)
    monkeypatch.setattr(workers, "available_cores", lambda: cores)
    assert _audit(folder) == plain
    assert list(rows_of(plain)) == list(modules)
