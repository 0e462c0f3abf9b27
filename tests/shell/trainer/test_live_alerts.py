"""Alerts while a training runs: told once, put on record, and never in its way."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gradience import api
from gradience.core.errors import ConfigError
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.report import monitor_report
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import Alert, AnyEvent
from gradience.shell.telemetry.run_log import open_run_log
from gradience.shell.telemetry.telemetry_tail import EventFold
from gradience.shell.trainer import live_alerts
from gradience.shell.trainer.live_alerts import HookReply, LiveAlerts
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.core.telemetry.sample_events import alert, batch, evaluation, run_start, train_step
from tests.shared_data import SHARED, needs_shared_data
from tests.shell.guard.faulty_trainer import (
    BATCH,
    STEPS,
    equal,
    faulty_trainer,
    float_rows,
    losses,
    weights,
)
from tests.shell.trainer.tiny_trainer import Rows
from tests.tiny_models import peft_warns

AT = 6

CODE = "nonfinite_gradients"


class Hook:
    """Keeps what it is told; asks to stop for an alert, or raises."""

    def __init__(
        self, *, stop_for: str | None = None, error: type[BaseException] | None = None
    ) -> None:
        self.alerts: list[MonitorAlert] = []
        self._stop_for = stop_for
        self._error = error

    def __call__(self, alert: MonitorAlert) -> HookReply | None:
        """Is told."""
        self.alerts.append(alert)
        if self._error is not None:
            raise self._error("a secret")
        return HookReply.STOP if alert.code == self._stop_for else None

    @property
    def codes(self) -> list[str]:
        """What it was told of, in order."""
        return [alert.code for alert in self.alerts]


class Record:
    """Stands for the telemetry: what is recorded is told again, as the recorder does."""

    def __init__(self) -> None:
        self.alerts: list[tuple[Severity, str, str, Mapping[str, object], int]] = []
        self.live: LiveAlerts | None = None

    def __call__(
        self,
        severity: Severity,
        code: str,
        message: str,
        *,
        context: Mapping[str, object],
        step: int,
    ) -> None:
        """Records."""
        self.alerts.append((severity, code, message, context, step))
        if self.live is not None:
            self.live.add(alert(code, severity, step))


def lively(hook: Callable[[MonitorAlert], HookReply | None], **options: object) -> LiveAlerts:
    record = Record()
    live = LiveAlerts(hook, record, **options)  # type: ignore[arg-type]  # options of many types
    record.live = live
    return live


def on_record(live: LiveAlerts) -> Record:
    record = live._record
    assert isinstance(record, Record)
    return record


def feed(live: LiveAlerts, *events: AnyEvent, now: bool = False) -> MonitorAlert | None:
    for event in events:
        live.add(event)
    return live.judge(7, now=now)


NANS: list[AnyEvent] = [train_step(n, loss=math.nan, grad_norm=math.nan) for n in range(1, 6)]


def test_the_alerts_are_those_of_the_monitor() -> None:
    hook = Hook()
    events: list[AnyEvent] = [run_start(), *NANS, evaluation("test", loss=1.0)]
    feed(lively(hook), *events)
    expected = monitor_report("", run_signals([batch(*events)]), ()).alerts
    severe = [a for a in expected if a.severity.at_least(Severity.WARNING)]
    assert hook.alerts == severe
    assert "nonfinite_loss" in hook.codes


def test_an_alert_is_told_once_and_put_on_record() -> None:
    hook = Hook()
    live = lively(hook)
    feed(live, run_start())
    for event in NANS:
        feed(live, event)
    told = [(alert.code, alert.severity) for alert in hook.alerts]
    assert len(told) == len(set(told)) > 1
    record = on_record(live)
    assert [code for _, code, *_ in record.alerts] == hook.codes
    severity, code, message, context, step = record.alerts[0]
    assert (severity, code, step) == (hook.alerts[0].severity, hook.codes[0], 7)
    assert message == hook.alerts[0].message
    assert all(isinstance(value, int | float) for value in context.values())
    assert (context["first_step"], context["live"]) == (1, True)


def test_an_alert_that_gets_worse_is_told_again() -> None:
    hook = Hook()
    live = lively(hook)
    feed(live, run_start(), train_step(1), alert("odd", Severity.WARNING))
    feed(live, alert("odd", Severity.WARNING), train_step(2))
    feed(live, alert("odd", Severity.ERROR), train_step(3))
    assert [(a.code, a.severity) for a in hook.alerts] == [
        ("odd", Severity.WARNING),
        ("odd", Severity.ERROR),
    ]


def test_what_others_put_on_record_is_told_and_not_recorded_again() -> None:
    hook = Hook()
    live = lively(hook, every=100)
    feed(live, run_start(), alert(CODE, Severity.ERROR))
    assert hook.codes == [CODE]
    assert on_record(live).alerts == []


def test_it_is_judged_every_so_many_steps_and_at_once_after_an_evaluation() -> None:
    hook = Hook()
    live = lively(hook, every=3)
    feed(live, run_start(), NANS[0], NANS[1])
    assert hook.codes == []
    feed(live, NANS[2])
    assert "nonfinite_loss" in hook.codes
    soon = Hook()
    live = lively(soon, every=3)
    feed(live, run_start(), NANS[0])
    feed(live, evaluation("test", loss=1.0))
    assert "nonfinite_loss" in soon.codes


def test_it_is_judged_at_the_end_where_steps_are_left() -> None:
    hook = Hook()
    live = lively(hook, every=100)
    feed(live, run_start(), *NANS)
    assert hook.codes == []
    feed(live, now=True)
    assert "nonfinite_loss" in hook.codes


def test_below_the_least_severity_nothing_is_told_and_what_is_no_news_never() -> None:
    quiet, all_ears = Hook(), Hook()
    isolated: list[AnyEvent] = [
        run_start(),
        train_step(1, loss=1.0),
        train_step(2, loss=1.0, grad_norm=math.inf),
    ]
    feed(lively(quiet), *isolated)
    feed(lively(all_ears, min_severity=Severity.INFO), *isolated)
    assert quiet.codes == []
    assert "nonfinite_grad_norm" in all_ears.codes
    assert not {"run_unfinished", "gap_unavailable"} & set(all_ears.codes)


def test_a_long_message_is_cut_on_record_and_whole_for_the_hook() -> None:
    hook = Hook()
    live = lively(hook, max_text=20)
    feed(live, run_start(), *NANS)
    _, _, message, *_ = on_record(live).alerts[0]
    assert message == hook.alerts[0].message[:17] + "..."


def test_the_first_alert_that_the_hook_stops_for_is_returned() -> None:
    hook = Hook(stop_for="b")
    stop = feed(lively(hook), run_start(), alert("a"), alert("b"), alert("c"))
    assert stop is hook.alerts[1]
    assert hook.codes == ["a", "b", "c"]


def test_a_hook_that_raises_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    hook = Hook(error=ValueError)
    live = lively(hook)
    assert feed(live, run_start(), alert("a"), alert("b"), alert("c")) is None
    assert (hook.codes, live.failed_calls) == (["a", "b", "c"], 3)
    assert caplog.text.count("the on_alert hook failed (ValueError)") == 1
    assert "a secret" not in caplog.text


def test_ctrl_c_in_a_hook_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        feed(lively(Hook(error=KeyboardInterrupt)), run_start(), alert("a"))


@pytest.mark.parametrize("name", ["monitor_report", "EventFold"])
def test_an_analyzer_that_fails_is_switched_off(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    if name == "EventFold":
        monkeypatch.setattr(EventFold, "add", fail)
    else:
        monkeypatch.setattr(live_alerts, name, fail)
    hook = Hook()
    live = lively(hook)
    feed(live, run_start())
    for event in NANS:
        feed(live, event)
    assert hook.codes == []
    assert caplog.text.count("live alerts are switched off (ZeroDivisionError)") == 1
    assert "a secret" not in caplog.text


def bad_rows() -> Rows:
    rows = float_rows(BATCH * STEPS)
    rows[BATCH * (AT - 1)]["inputs_embeds"][0, 0] = math.nan
    return rows


def callback(hook: Callable[[MonitorAlert], HookReply | None], **more: object) -> GradienceCallback:
    settings = {"on_alert": hook, "alert_every": 1, **more}
    return GradienceCallback(GradienceCallbackConfig(**settings))  # type: ignore[arg-type]  # settings of many types


@pytest.mark.trainer
@peft_warns
def test_a_healthy_run_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    hook = Hook(stop_for=CODE)
    watched = faulty_trainer(tmp_path / "watched", callback(hook))
    watched.train()
    alone = faulty_trainer(tmp_path / "alone")
    alone.train()
    assert CODE not in hook.codes
    assert equal(weights(watched.model), weights(alone.model))
    assert losses(watched) == losses(alone)
    assert api.monitor(tmp_path / "watched" / "run.jsonl").run.outcome.value == "ok"


@pytest.mark.trainer
@peft_warns
def test_a_fault_is_told_while_it_trains_and_stands_on_record_once(tmp_path: Path) -> None:
    hook = Hook()
    trainer = faulty_trainer(tmp_path, callback(hook), data=bad_rows())
    trainer.train()
    assert trainer.state.global_step == STEPS
    assert CODE in hook.codes
    events = TelemetryReader(tmp_path / "run.jsonl").iter_events()
    alerts = [event for event in events if isinstance(event, Alert) and event.code == CODE]
    assert len(alerts) == 1
    assert alerts[0].step == AT


@pytest.mark.trainer
@peft_warns
def test_a_hook_may_stop_the_training(tmp_path: Path) -> None:
    hook = Hook(stop_for=CODE)
    made = callback(hook)
    trainer = faulty_trainer(tmp_path, made, data=bad_rows())
    trainer.train()
    assert trainer.state.global_step == AT
    report = api.monitor(tmp_path / "run.jsonl")
    assert (report.run.outcome.value, report.run.reason) == ("aborted", CODE)


@pytest.mark.trainer
@peft_warns
def test_several_processes_are_not_stopped_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import TrainingArguments

    hook = Hook(stop_for=CODE)
    made = callback(hook)
    trainer = faulty_trainer(tmp_path, made, data=bad_rows())
    real = made._judge

    def judged_as_one_of_two(args: object, state: object, control: object) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TrainingArguments, "world_size", property(lambda _: 2))
            real(args, state, control)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(made, "_judge", judged_as_one_of_two)
    trainer.train()
    assert trainer.state.global_step == STEPS
    assert "not done, as several processes train together" in caplog.text
    assert api.monitor(tmp_path / "run.jsonl").run.outcome.value == "ok"


@pytest.mark.trainer
@peft_warns
def test_a_hook_that_raises_does_not_end_the_training(tmp_path: Path) -> None:
    made = callback(Hook(error=ValueError))
    trainer = faulty_trainer(tmp_path, made, data=bad_rows())
    trainer.train()
    assert trainer.state.global_step == STEPS
    assert made.failed_hooks >= 1
    assert made.dropped_events == 0


@pytest.mark.trainer
@peft_warns
def test_ctrl_c_in_a_hook_ends_the_training(tmp_path: Path) -> None:
    trainer = faulty_trainer(tmp_path, callback(Hook(error=KeyboardInterrupt)), data=bad_rows())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert api.monitor(tmp_path / "run.jsonl").run.outcome.value == "aborted"


@pytest.mark.trainer
@peft_warns
def test_each_training_is_judged_anew(tmp_path: Path) -> None:
    hook = Hook()
    made = callback(hook)
    for _ in range(2):
        faulty_trainer(tmp_path, made, data=bad_rows()).train()
    assert hook.codes.count(CODE) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alert_every": 0}, "alert_every: expected a number of steps from 1 on, found 0"),
        ({"alert_min_severity": "bad"}, "alert_min_severity: expected one of info, warning"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GradienceCallbackConfig(**settings)  # type: ignore[arg-type]  # settings of many types


def test_a_severity_may_be_named() -> None:
    assert GradienceCallbackConfig(alert_min_severity="error").alert_min_severity is Severity.ERROR


def labels() -> Mapping[str, Mapping[str, list[str]]]:
    """What a careful reader sees in each real log, by its path."""
    if not SHARED.is_dir():
        return {}
    found = json.loads((SHARED / "LABELS.json").read_text(encoding="utf-8"))
    logs: Mapping[str, Mapping[str, list[str]]] = found["logs"]
    return {name: wanted for name, wanted in logs.items() if (SHARED / name).is_file()}


@pytest.mark.shared_data
@needs_shared_data
@pytest.mark.parametrize("name", labels())
def test_no_beginning_of_a_real_run_is_warned_about_what_the_run_does_not_show(name: str) -> None:
    wanted = labels()[name]
    fine = {*wanted["must"], *wanted["may"], *wanted.get("any_of", ())}
    hook = Hook()
    live = LiveAlerts(hook, lambda *_, **__: None, every=20)
    for event in open_run_log(SHARED / name).iter_events():
        feed(live, event)
    feed(live, now=True)
    severe = {alert.code for alert in hook.alerts if alert.severity.at_least(Severity.WARNING)}
    assert severe <= fine
