"""The factors that training began with: where they are found, and what is taken away."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from gradience.api import audit, audit_lora_state_dict
from gradience.core.audit.policy import AuditPolicy
from gradience.core.errors import AdapterError, UnsupportedAdapterError
from tests.adapter_files import (
    Q_PROJ,
    UP_PROJ,
    Factors,
    factors,
    findings_of,
    lora_config,
    rows_of,
    state_dict,
    write_modules,
)

TRAINED = {Q_PROJ: factors(seed=1), UP_PROJ: factors(seed=2)}
INITIAL = {Q_PROJ: factors(seed=3), UP_PROJ: factors(seed=4)}
SCALE = 2.0


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return write_modules(tmp_path / "trained", TRAINED, init_lora_weights="pissa_niter_16")


@pytest.fixture
def initial(tmp_path: Path) -> Path:
    return write_modules(tmp_path / "initial", INITIAL, init_lora_weights="pissa")


def _values(now: Factors, then: Factors) -> list[float]:
    """Singular values of the formed difference s·(B·A - B₀·A₀)."""
    (a, b), (a0, b0) = ([x.astype(np.float64) for x in pair] for pair in (now, then))
    return [float(x) for x in SCALE * np.linalg.svd(b @ a - b0 @ a0, compute_uv=False)]


def _assert_subtracted(folder: Path, place: Path, given: Path | None) -> None:
    policy = AuditPolicy(layers=True)
    report = audit(folder, initial_adapter=given, top_singular_values=8, policy=policy)
    for module, row in rows_of(report).items():
        expected = _values(TRAINED[module], INITIAL[module])[:8]
        assert row.top_singular_values == pytest.approx(expected, rel=1e-9)
    finding = findings_of(report)["initial_subtracted"]
    assert str(place) in finding.message
    assert "2 modules" in finding.message


def test_a_folder_that_is_named_is_taken_away(trained: Path, initial: Path) -> None:
    _assert_subtracted(trained, initial, initial)


def test_a_file_that_is_named_is_read_with_the_trained_config(
    trained: Path, initial: Path, tmp_path: Path
) -> None:
    file = tmp_path / "alone" / "first.safetensors"
    file.parent.mkdir()
    shutil.copy(initial / "adapter_model.safetensors", file)
    _assert_subtracted(trained, file, file)


def test_a_folder_beside_the_trained_factors_is_found(trained: Path, initial: Path) -> None:
    beside = trained / "pissa_init"
    shutil.copytree(initial, beside)
    _assert_subtracted(trained, beside, None)


def test_the_named_one_comes_before_the_one_beside(trained: Path, initial: Path) -> None:
    write_modules(trained / "pissa_init", TRAINED)
    _assert_subtracted(trained, initial, initial)


def test_without_any_the_audit_is_refused_with_the_remedy(trained: Path) -> None:
    with pytest.raises(UnsupportedAdapterError, match=r"pissa_niter_16.*--initial-adapter"):
        audit(trained)


def test_in_memory_there_is_no_folder_beside() -> None:
    with pytest.raises(UnsupportedAdapterError, match="olora"):
        audit_lora_state_dict(state_dict(TRAINED), lora_config(init_lora_weights="olora"))


@pytest.mark.parametrize("method", ["pissa/../stolen", "pissa\0", "pissa" + "x" * 5000, "pissa/"])
def test_a_method_is_never_a_path(trained: Path, initial: Path, method: str) -> None:
    shutil.copytree(initial, trained / "stolen_init")
    (trained / "pissa").mkdir()
    folder = write_modules(trained, TRAINED, init_lora_weights=method)
    with pytest.raises(UnsupportedAdapterError):
        audit(folder)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({Q_PROJ: factors()}, rf"{UP_PROJ}, \(4, 12\) and \(10, 4\), found none"),
        ({Q_PROJ: factors(), UP_PROJ: factors(r=2)}, r"found \(\(2, 12\), \(10, 2\)\)"),
        ({Q_PROJ: factors(d_in=9), UP_PROJ: factors()}, rf"{Q_PROJ}, .*found \(\(4, 9\)"),
    ],
    ids=["a_module_is_missing", "other_rank", "other_size"],
)
def test_factors_of_another_adapter_are_refused(
    trained: Path, tmp_path: Path, other: dict[str, Factors], words: str
) -> None:
    given = write_modules(tmp_path / "other", other)
    with pytest.raises(AdapterError, match=words):
        audit(trained, initial_adapter=given)


def test_factors_that_are_named_are_taken_away_from_any_lora(tmp_path: Path, initial: Path) -> None:
    _assert_subtracted(write_modules(tmp_path / "plain", TRAINED), initial, initial)


def test_initial_factors_without_a_config_are_refused_by_their_own_place(
    trained: Path, initial: Path
) -> None:
    (initial / "adapter_config.json").unlink()
    with pytest.raises(AdapterError, match=r"expected \S*initial/adapter_config\.json beside"):
        audit(trained, initial_adapter=initial)


def test_a_place_that_is_not_there_is_refused(trained: Path, tmp_path: Path) -> None:
    plain = write_modules(tmp_path / "plain", TRAINED)
    for folder in (trained, plain):
        with pytest.raises(AdapterError, match=r"nowhere.*found nothing"):
            audit(folder, initial_adapter=tmp_path / "nowhere")


def test_training_that_changed_nothing_is_untrained(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "same", INITIAL, init_lora_weights="pissa")
    report = audit(folder, initial_adapter=folder, policy=AuditPolicy(layers=True))
    assert all((row.delta_sigma_max or 0) < 1e-6 for row in rows_of(report).values())
