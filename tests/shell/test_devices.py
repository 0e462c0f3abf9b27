"""X·Xᵀ on a device of torch: the numbers of NumPy, and refusals in words."""

import sys
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike

from gradience.api import audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.errors import ConfigError, MissingDependencyError
from gradience.core.spectra.gram import row_gram
from gradience.core.spectra.reduction import Route, lora_spectrum
from gradience.shell.devices import gram_on, torch_gram
from tests.adapter_files import Q_PROJ, UP_PROJ, Array, factors, rows_of, write_modules

DTYPES: tuple[DTypeLike, ...] = (
    np.float64,
    np.float32,
    np.float16,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
)


def _every_second(rows: Array) -> Array:
    return np.repeat(rows, 2, axis=1)[:, ::2]


def _read_only(rows: Array) -> Array:
    view = np.frombuffer(b"\0" + rows.tobytes(), rows.dtype, rows.size, 1)
    return view.reshape(rows.shape)


ORDERS: dict[str, Callable[[Array], Array]] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": _every_second,
    "read_only_unaligned": _read_only,
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_torch_gives_the_numbers_of_numpy(
    order: Callable[[Array], Array], dtype: DTypeLike
) -> None:
    rows = order(factors(r=5, d_in=64)[0].astype(dtype))
    before = rows.copy()
    found = torch_gram("cpu")(rows)
    expected = row_gram(rows)
    assert found.dtype == np.float64
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()
    assert (rows == before).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_stand_on_the_diagonal(bad: float) -> None:
    a, b = factors()
    a[1, 2] = bad
    assert not np.isfinite(np.diag(torch_gram("cpu")(a))[1])
    assert lora_spectrum(a, b, gram=torch_gram("cpu")).route is Route.NONFINITE


def test_zero_rows_are_zero() -> None:
    assert not torch_gram("cpu")(np.zeros((3, 7), np.float32)).any()


def test_the_cpu_needs_no_reduction_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gram_on("cpu") is None


def test_a_device_that_is_there_is_used() -> None:
    gram = gram_on("cpu:0")
    assert gram is not None
    a, _ = factors()
    assert gram(a) == pytest.approx(row_gram(a), rel=1e-12)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:x", "", "cuda:-3", "vulkan"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=rf"^device {device}: expected a device.*--device out"):
        gram_on(device)


def test_torch_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"^device cuda: needs torch"):
        gram_on("cuda")


def test_an_audit_on_a_device_gives_the_same_report(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors(), UP_PROJ: factors(seed=1)})
    policy = AuditPolicy(layers=True)
    here, there = audit(folder, policy=policy), audit(folder, policy=policy, device="cpu:0")
    for name, row in rows_of(here).items():
        other = rows_of(there)[name]
        assert other.stable_rank == pytest.approx(row.stable_rank, rel=1e-9)
        assert other.delta_sigma_max == pytest.approx(row.delta_sigma_max, rel=1e-9)
        assert other.energy_rank_90 == row.energy_rank_90
