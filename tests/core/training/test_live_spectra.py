"""The payload of kind spectral against dense updates."""

import numpy as np
import pytest

from gradience.core.training.live_spectra import UpdateGrams, spectra_metrics
from tests.dense_oracle import naive_energy_rank, naive_stable_rank

GENERATOR = np.random.default_rng(0)
A, B = GENERATOR.standard_normal((4, 12)), GENERATOR.standard_normal((9, 4))


def update(
    name: str, scale: float = 2.0, factor: float = 1.0, *, dora: bool = False
) -> UpdateGrams:
    a = factor * A
    return UpdateGrams(name, a @ a.T, B.T @ B, 4, scale, dora=dora)


def module(payload: dict[str, object], name: str) -> dict[str, object]:
    modules = payload["modules"]
    assert isinstance(modules, dict)
    row = modules[name]
    assert isinstance(row, dict)
    return row


def summary(payload: dict[str, object]) -> dict[str, object]:
    found = payload["summary"]
    assert isinstance(found, dict)
    return found


def test_quantities_are_those_of_the_dense_update() -> None:
    row = module(spectra_metrics([update("q", -2.0)], {}), "q")
    sigma = np.linalg.svd(2.0 * B @ A, compute_uv=False).astype(np.float64)
    assert row["delta_sigma_max"] == pytest.approx(sigma[0], rel=1e-5)
    assert row["stable_rank"] == pytest.approx(naive_stable_rank(sigma), rel=1e-5)
    assert row["delta_fro_norm"] == pytest.approx(float(np.linalg.norm(2.0 * B @ A)), rel=1e-5)
    assert row["energy_rank_90"] == naive_energy_rank(sigma, 0.9)
    assert row["r"] == 4
    assert set(row) == {"r", "delta_sigma_max", "stable_rank", "energy_rank_90", "delta_fro_norm"}


def test_summary_has_mean_and_maximum() -> None:
    payload = spectra_metrics([update("q"), update("k", factor=3.0)], {})
    small, large = module(payload, "q"), module(payload, "k")
    found = summary(payload)
    assert found["n_modules"] == 2
    assert found["delta_sigma_max_max"] == large["delta_sigma_max"]
    assert found["delta_sigma_max_mean"] == pytest.approx(2 * _number(small), rel=1e-5)
    assert found["stable_rank_mean"] == small["stable_rank"]


def _number(row: dict[str, object]) -> float:
    value = row["delta_sigma_max"]
    assert isinstance(value, float)
    return value


def test_updates_without_quantities_say_why() -> None:
    zero = update("zero")._replace(gram_b=np.zeros((4, 4)))
    lost = update("lost")._replace(gram_a=np.full((4, 4), np.nan))
    cancelling = UpdateGrams(
        "cancelling",
        np.array([[1.0, 1.0], [1.0, 1.0 + 1e-18]]),
        np.array([[1.0, -1.0], [-1.0, 1.0]]),
        1,
        1.0,
    )
    unscaled, infinite = update("unscaled", 0.0), update("infinite", np.inf)
    payload = spectra_metrics([zero, lost, cancelling, unscaled, infinite], {})
    statuses = {name: module(payload, name)["status"] for name in ("zero", "lost", "cancelling")}
    assert statuses == {"zero": "untrained", "lost": "nonfinite", "cancelling": "unresolved"}
    assert module(payload, "unscaled") == {"r": 4, "status": "untrained"}
    assert module(payload, "infinite")["status"] == "nonfinite"
    assert summary(payload) == {
        "n_modules": 5,
        "n_untrained": 2,
        "n_nonfinite": 2,
        "n_unresolved": 1,
    }


def test_dora_is_marked() -> None:
    assert module(spectra_metrics([update("q", dora=True)], {}), "q")["dora"] is True


def test_skipped_modules_are_counted_and_a_few_named() -> None:
    payload = spectra_metrics([], {"frozen": [f"m{place}" for place in range(7)]})
    assert payload["skipped"] == {"frozen": {"n": 7, "modules": ["m0", "m1", "m2", "m3", "m4"]}}
    assert "skipped" not in spectra_metrics([], {})


def test_numbers_are_short() -> None:
    row = module(spectra_metrics([update("q", 1 / 3)], {}), "q")
    assert len(str(row["delta_sigma_max"])) <= 8
