"""An adapter against a tiny base checkpoint: dense norms, new directions, what has no base."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gradience.api import audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport
from gradience.core.dominance.intruder_result import IntruderResult
from gradience.core.errors import BaseModelError, ConfigError
from gradience.shell.audit import AuditRequest, run_audit
from gradience.shell.audit_base import BaseRequest
from tests.adapter_files import (
    Q_PROJ,
    UP_PROJ,
    Factors,
    factors,
    findings_of,
    rows_of,
    write_modules,
)

SHAPE = (24, 20)
SCALE = 2.0
K_PROJ = "model.layers.0.self_attn.k_proj"


def _pair(seed: int, size: float) -> Factors:
    a, b = factors(r=4, d_in=SHAPE[1], d_out=SHAPE[0], seed=seed)
    return a, (size * b).astype(np.float32)


MODULES = {Q_PROJ: _pair(1, 1e-3), UP_PROJ: _pair(2, 3.0)}


def _weights() -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(7)
    return {
        f"{module}.weight": generator.standard_normal(SHAPE).astype(np.float32)
        for module in MODULES
    }


@pytest.fixture
def base(tmp_path: Path) -> str:
    (tmp_path / "base").mkdir()
    save_file(_weights(), tmp_path / "base" / "model.safetensors")
    return str(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_modules(tmp_path / "adapter", MODULES)


def _audit(adapter: Path, base: str, *, intruders: bool = False) -> AuditReport:
    policy = AuditPolicy(layers=True)
    return audit(adapter, base_model=base, intruders=intruders, policy=policy)


def _dense() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Module, W and ΔW."""
    weights = _weights()
    for module, (a, b) in MODULES.items():
        delta = SCALE * b.astype(np.float64) @ a.astype(np.float64)
        yield module, weights[f"{module}.weight"].astype(np.float64), delta


def test_ratios_are_those_of_dense_norms(adapter: Path, base: str) -> None:
    report = _audit(adapter, base)
    rows = rows_of(report)
    for module, weight, delta in _dense():
        row = rows[module]
        udr = np.linalg.norm(delta, 2) / np.linalg.norm(weight, 2)
        assert row.base_fro_norm == pytest.approx(np.linalg.norm(weight), rel=1e-9)
        assert row.base_sigma_max == pytest.approx(np.linalg.norm(weight, 2), rel=1e-4)
        assert row.udr == pytest.approx(udr, rel=1e-4)
        assert row.udr_f == pytest.approx(np.linalg.norm(delta) / np.linalg.norm(weight), rel=1e-4)
        assert row.intruders is None
    assert (report.base_model, report.n_layers_with_udr) == (base, 2)


def _dense_intruders(weight: NDArray[np.float64], delta: NDArray[np.float64]) -> int:
    """Of the ten leading left directions of W + ΔW, those with no cosine of 1/2 to one of W's."""
    before = np.linalg.svd(weight)[0]
    after = np.linalg.svd(weight + delta)[0][:, :10]
    return int((np.abs(before[:, : SHAPE[1]].T @ after).max(axis=0) < 0.5).sum())


def test_new_directions_are_counted_as_by_dense_svd(adapter: Path, base: str) -> None:
    rows = rows_of(_audit(adapter, base, intruders=True))
    expected = {module: _dense_intruders(weight, delta) for module, weight, delta in _dense()}
    found = {}
    for module, row in rows.items():
        assert isinstance(row.intruders, IntruderResult)
        assert row.intruders.n_undecided == 0
        found[module] = row.intruders.n_intruders
    assert found == expected
    assert expected[Q_PROJ] == 0 < expected[UP_PROJ]


def test_what_has_no_base_weight_is_told_and_has_no_ratio(tmp_path: Path, base: str) -> None:
    folder = write_modules(tmp_path / "more", {**MODULES, K_PROJ: _pair(3, 1.0)})
    report = _audit(folder, base, intruders=True)
    assert findings_of(report)["no_base_norm"].modules == (K_PROJ,)
    row = rows_of(report)[K_PROJ]
    assert (row.udr, row.intruders) == (None, None)
    assert row.stable_rank is not None


def test_pairs_without_an_update_are_not_looked_up(tmp_path: Path, base: str) -> None:
    a, b = MODULES[UP_PROJ]
    folder = write_modules(tmp_path / "bad", {Q_PROJ: MODULES[Q_PROJ], UP_PROJ: (a, b[:, :3])})
    report = _audit(folder, base, intruders=True)
    assert "no_base_norm" not in findings_of(report)
    assert (rows_of(report)[UP_PROJ].udr, rows_of(report)[UP_PROJ].intruders) == (None, None)


def test_untrained_and_nonfinite_modules_have_no_new_directions(tmp_path: Path, base: str) -> None:
    a, b = MODULES[UP_PROJ]
    bad = b.copy()
    bad[0, 0] = np.nan
    folder = write_modules(tmp_path / "bad", {Q_PROJ: (a, np.zeros_like(b)), UP_PROJ: (a, bad)})
    for row in rows_of(_audit(folder, base, intruders=True)).values():
        assert row.intruders is None
        assert row.udr is None


def test_norms_are_kept_and_taken_from_the_file(adapter: Path, base: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "norms.json"
    first = audit(adapter, base_model=base, base_norms_cache=cache)
    written = cache.read_bytes()
    again = audit(adapter, base_model=base, base_norms_cache=cache)
    assert again == first
    assert cache.read_bytes() == written


def test_a_damaged_cache_is_told_and_replaced(adapter: Path, base: str, tmp_path: Path) -> None:
    cache = tmp_path / "norms.json"
    cache.write_bytes(b"{damaged")
    report = audit(adapter, base_model=base, base_norms_cache=cache)
    assert "computed anew" in findings_of(report)["norm_cache_damaged"].message
    assert "norm_cache_damaged" not in findings_of(
        audit(adapter, base_model=base, base_norms_cache=cache)
    )


def test_a_cache_that_cannot_be_written_costs_no_report(adapter: Path, base: str) -> None:
    cache = adapter / "adapter_config.json" / "norms.json"
    report = audit(adapter, base_model=base, base_norms_cache=cache)
    assert report.n_layers_with_udr == 2
    assert "norms.json" in findings_of(report)["norms_not_kept"].message


def test_progress_counts_base_weights_first(adapter: Path, base: str) -> None:
    told: list[tuple[int, int]] = []
    request = AuditRequest(
        place=adapter,
        base=BaseRequest(model=base),
        on_module=lambda *counts: told.append(counts),
    )
    run_audit(request)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_base_model_that_is_not_there_is_refused(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="nowhere"):
        audit(adapter, base_model=str(tmp_path / "nowhere"))


def test_new_directions_need_a_base_model(adapter: Path) -> None:
    with pytest.raises(ConfigError, match="expected a base model"):
        audit(adapter, intruders=True)
