"""The parts are driven in order, and one that raises is switched off alone."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from gradience.core.errors import TelemetryError
from gradience.shell.trainer.driven_parts import DrivenParts
from gradience.shell.trainer.parts import TrainingRun

METHODS = ("begin", "before_optimizer_step", "after_step", "log_fields", "end")


class Part:
    """Notes its calls; raises in one of them."""

    def __init__(self, seen: list[str], raises: str = "", error: Exception | None = None) -> None:
        self.seen, self.raises, self.error = seen, raises, error or ValueError("secret")

    def _note(self, name: str) -> None:
        self.seen.append(name)
        if name == self.raises:
            raise self.error

    def begin(self, run: TrainingRun, step: int) -> None:
        """Begins."""
        del run, step
        self._note("begin")

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Looks."""
        del run, step
        self._note("before_optimizer_step")

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """Asks to stop at step 5."""
        del run
        self._note("after_step")
        return step == 5

    def log_fields(self) -> Mapping[str, object]:
        """One field."""
        self._note("log_fields")
        return {self.raises or "good": 1}

    def end(self, run: TrainingRun, step: int) -> None:
        """Ends."""
        del run, step
        self._note("end")


Alerts = list[tuple[tuple[object, ...], Mapping[str, object]]]


@pytest.fixture
def alerts() -> Alerts:
    return []


@pytest.fixture
def run(tmp_path: Path, alerts: Alerts) -> TrainingRun:
    record: Callable[..., None] = lambda *given, **named: alerts.append((given, named))  # noqa: E731
    return TrainingRun(
        args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
        model=torch.nn.Linear(1, 1),
        optimizer=None,
        alert=record,
        metrics=record,
    )


def go_through(parts: DrivenParts) -> Mapping[str, object]:
    parts.begin(0)
    parts.before_optimizer_step(1)
    parts.after_step(1)
    fields = parts.log_fields(1)
    parts.end(1)
    return fields


@pytest.mark.parametrize("method", METHODS)
def test_a_part_that_raises_is_ended_and_the_other_goes_on(
    run: TrainingRun, alerts: Alerts, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    bad, good = Part([], method), Part([])
    with caplog.at_level(logging.WARNING, logger="gradience"):
        fields = go_through(DrivenParts([bad, good], run))
    assert good.seen == list(METHODS)
    reached = METHODS[: METHODS.index(method) + 1]
    assert bad.seen == [*reached, "end"]
    assert fields.keys() == {"good"} | ({"end"} if method == "end" else set())
    ((given, named),) = alerts
    assert given[:2] == ("warning", "part_failed")
    assert named["context"] == {"part": "Part", "error": "ValueError"}
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text + str(alerts)


def test_the_log_quotes_gradiences_own_errors(
    run: TrainingRun, caplog: pytest.LogCaptureFixture
) -> None:
    go_through(DrivenParts([Part([], "begin", TelemetryError("say this"))], run))
    assert "TelemetryError: say this" in caplog.text


def test_the_first_part_that_asks_stops_the_training(run: TrainingRun) -> None:
    first, second = Part([]), Part([])
    parts = DrivenParts([first, second], run)
    assert [parts.after_step(step) for step in (4, 5, 6)] == [False, True, True]
    assert parts.stopped_by is first
    assert second.seen == ["after_step"] * 3


def test_no_part_is_called_after_the_end(run: TrainingRun) -> None:
    part = Part([])
    parts = DrivenParts([part], run)
    parts.end(1)
    parts.end(1)
    parts.before_optimizer_step(2)
    assert part.seen == ["end"]
