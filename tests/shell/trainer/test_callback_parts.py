"""The parts of the callback, driven in real runs."""

from pathlib import Path

import pytest

from gradience import api
from gradience.core.telemetry.events import Alert, TrainStep
from gradience.shell.trainer import callback as callback_module
from gradience.shell.trainer.parts import TrainingPart, TrainingRun
from gradience.vnext.integrations.hf import GradienceCallback
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.trainer.tiny_trainer import names, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]


def events(path: Path, kind: type) -> list[object]:
    return [event for event in TelemetryReader(path).iter_events() if isinstance(event, kind)]


class Faulty:
    """A part that does something, raises or asks to stop, at a step."""

    def __init__(self, *, raise_at: int = 0, stop_at: int = 0) -> None:
        self.calls: list[tuple[str, int]] = []
        self._raise_at, self._stop_at = raise_at, stop_at

    def begin(self, run: TrainingRun, step: int) -> None:
        """Leaves an alert."""
        self.calls.append(("begin", step))
        run.alert("info", "PART_BEGAN", "a part", step=step)

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Leaves metrics."""
        self.calls.append(("before", step))
        run.metrics(step, kind="part", metrics={"seen": step})

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """Raises or stops."""
        del run
        self.calls.append(("after", step))
        if step == self._raise_at:
            raise ValueError("a secret")
        return step == self._stop_at

    def log_fields(self) -> dict[str, object]:
        """Fields, one of which has the name of a parameter."""
        return {"grad_norm_pre_clip": 1.5, "step": 7}

    def end(self, run: TrainingRun, step: int) -> None:
        """Ends."""
        del run
        self.calls.append(("end", step))


def with_part(monkeypatch: pytest.MonkeyPatch, part: TrainingPart) -> GradienceCallback:
    monkeypatch.setattr(callback_module, "parts_of", lambda _: (part,))
    return GradienceCallback()


def test_parts_see_every_step_and_add_to_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Faulty()
    tiny_trainer(tmp_path, with_part(monkeypatch, part), max_steps=2).train()
    steps = [(name, step) for step in (1, 2) for name in ("before", "after")]
    assert part.calls == [("begin", 0), *steps, ("end", 2)]
    path = tmp_path / "run.jsonl"
    assert names(path) == ["run_start", "alert", "metrics", "train_step", "metrics", "run_end"]
    (step,) = events(path, TrainStep)
    assert isinstance(step, TrainStep)
    assert (step.step, step.extras["grad_norm_pre_clip"], step.extras["extra_step"]) == (2, 1.5, 7)


def test_a_part_that_raises_is_switched_off_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    part = Faulty(raise_at=3)
    callback = with_part(monkeypatch, part)
    assert tiny_trainer(tmp_path, callback).train().global_step == 8
    assert part.calls[-2:] == [("after", 3), ("end", 3)]
    found = [e for e in events(tmp_path / "run.jsonl", Alert) if isinstance(e, Alert)]
    assert [alert.code for alert in found] == ["PART_BEGAN", "part_failed"]
    assert found[1].severity.value == "warning"
    assert found[1].context == {"part": "Faulty", "error": "ValueError"}
    assert "Faulty is switched off (ValueError)" in caplog.text
    assert "a secret" not in caplog.text + (tmp_path / "run.jsonl").read_text()
    assert callback.dropped_events == 0


def test_a_part_may_stop_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Faulty(stop_at=3)
    result = tiny_trainer(tmp_path, with_part(monkeypatch, part)).train()
    assert result.global_step == 3
    run = api.monitor(tmp_path / "run.jsonl").run
    assert (run.outcome.value, run.reason) == ("aborted", "stopped by Faulty")


def test_a_part_may_say_why_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Faulty(stop_at=3)
    monkeypatch.setattr(part, "stop_reason", "guard_abort", raising=False)
    tiny_trainer(tmp_path, with_part(monkeypatch, part)).train()
    assert api.monitor(tmp_path / "run.jsonl").run.reason == "guard_abort"
