"""Advice from the audit on record."""

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.monitoring.audit_advice import audit_advice
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import Recommendation
from tests.core.telemetry.sample_events import batch, metrics, run_start


def advice(audit: dict[str, object], rank: int = 16) -> dict[str, Recommendation]:
    start = run_start(config=ConfigSnapshot(lora=LoraSnapshot(r=rank)))
    signals = run_signals([batch(start, metrics("lora_audit", audit))])
    return {item.action: item for item in audit_advice(signals, MonitorPolicy())}


@pytest.mark.parametrize(("share", "advised"), [(0.24, True), (0.25, False), (None, False)])
def test_use_far_below_that_of_noise_is_said(share: float | None, advised: bool) -> None:  # noqa: FBT001
    found = advice({"n_layers": 2, "null_baseline": {"utilization_vs_null_mean": share}})
    assert ("low_utilization" in found) is advised
    if advised:
        assert "24 % of that of noise" in found["low_utilization"].message


def test_a_rank_to_cut_to_says_more_than_low_utilization() -> None:
    audit: dict[str, object] = {
        "n_layers": 2,
        "suggested_r_global_90": 4,
        "null_baseline": {"utilization_vs_null_mean": 0.1},
    }
    assert set(advice(audit)) == {"compress_rank"}
    assert set(advice(audit, rank=4)) == {"low_utilization"}


@pytest.mark.parametrize(("mlp", "advised"), [(4.0, True), (5.0, False), (None, False)])
def test_mlp_modules_of_half_the_need_can_be_cut(mlp: float | None, advised: bool) -> None:  # noqa: FBT001
    by_type = {"attn": {"energy_rank_90_p90": 8.0}, "mlp": {"energy_rank_90_p90": mlp}}
    found = advice({"n_layers": 2, "by_type": by_type})
    assert ("compress_mlp_targets" in found) is advised


@pytest.mark.parametrize(
    "audit",
    [
        {"n_layers": 0, "suggested_r_global_90": 1},
        {"n_layers": 2, "by_type": None, "null_baseline": "none"},
        {},
    ],
)
def test_an_audit_that_says_nothing_gives_no_advice(audit: dict[str, object]) -> None:
    assert advice(audit) == {}
