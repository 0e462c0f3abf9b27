"""The report of the monitor and its signal snapshot."""

import math

import msgspec
import pytest

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.monitoring import signals
from gradience.core.monitoring.gap import Gap
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.monitoring.signals import SignalSnapshot, signal_snapshot
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from gradience.core.telemetry.issues import TelemetryIssue
from tests.core.telemetry.sample_events import (
    alert,
    batch,
    evaluation,
    metrics,
    run_start,
    train_step,
)


def report(*events: AnyEvent) -> MonitorReport:
    return monitor_report("run.jsonl", run_signals([batch(*events)]), ())


def snapshot(*events: AnyEvent) -> SignalSnapshot:
    return signal_snapshot(run_signals([batch(*events)]))


def test_the_report_has_the_contracts_keys() -> None:
    keys = msgspec.json.decode(msgspec.json.encode(report()), type=dict[str, object])
    contract = {"file", "config", "signals", "alerts", "recommendations", "telemetry_issues"}
    assert contract <= keys.keys()


def test_the_config_stands_in_the_report_once() -> None:
    config = ConfigSnapshot(model_name="m")
    found = report(run_start(config=config))
    assert (found.config, found.run.config) == (config, None)
    assert report().config == ConfigSnapshot()


def test_severities_are_of_alerts_and_recommendations() -> None:
    found = report(train_step(loss=1.0), alert("x", Severity.CRITICAL))
    assert found.severities[0] is Severity.CRITICAL
    assert len(found.severities) == len(found.alerts) + len(found.recommendations)


def test_severities_count_the_files_issues() -> None:
    issue = TelemetryIssue(severity=Severity.CRITICAL, code="x", message="odd", line=1)
    found = monitor_report("run.jsonl", run_signals([batch(train_step(loss=1.0))]), (issue,))
    assert Severity.CRITICAL in found.severities


def test_the_gap_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_signals([batch(train_step(loss=0.0), evaluation("test", loss=1.0))])

    def refuse(*_: object) -> Gap:
        raise AssertionError("the gap was given")

    monkeypatch.setattr(signals, "run_gap", refuse)
    assert monitor_report("run.jsonl", found, ()).signals.gap == math.e


def test_perplexity_is_worked_out_from_the_loss() -> None:
    found = snapshot(train_step(loss=0.0), evaluation("test", loss=1.0, f1=0.5))
    assert (found.test.ppl, found.test.extras) == (math.e, {"f1": 0.5})
    assert (found.train.ppl, found.gap) == (1.0, math.e)
    assert found.extras["train_estimated"] is True


def test_a_run_with_rewards_has_no_perplexity() -> None:
    found = snapshot(train_step(loss=0.0), evaluation("test", loss=1.0, reward=0.5))
    assert (found.test.ppl, found.train.ppl, found.gap) == (None, None, None)


def test_the_audits_numbers_are_passed_on_where_there_are_layers() -> None:
    values = {"stable_rank_mean": 2, "utilization_mean": 0.25, "kappa_mean": "high"}
    found = snapshot(metrics("lora_audit", {"n_layers": 3, **values}))
    assert (found.stable_rank_mean, found.utilization_mean, found.kappa_mean) == (2.0, 0.25, None)
    assert snapshot(metrics("lora_audit", {"n_layers": 0, **values})).stable_rank_mean is None


def test_every_split_stands_in_the_extras() -> None:
    splits = snapshot(evaluation("a", 1), evaluation("b", 2, x=1)).extras["splits"]
    assert splits == {"a": {"step": 1, "metrics": {}}, "b": {"step": 2, "metrics": {"x": 1}}}
