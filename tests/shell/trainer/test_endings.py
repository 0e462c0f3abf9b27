"""Every way out of a training leaves its run_end, and goes on as it would have gone."""

import copy
import inspect
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
import torch
from transformers import Trainer, TrainerCallback

from gradience import api
from gradience.core.telemetry.events import RunStatus
from gradience.shell.trainer.endings import (
    LastChance,
    SigtermRecord,
    WatchedTrain,
    reason_of,
    trainer_being_made,
    watch_train,
)
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from tests.shell.trainer.tiny_trainer import Rows, names, rows, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]


class Boom(Exception):  # noqa: N818  named for the record
    """What goes wrong."""


class OneBadRow(list[dict[str, torch.Tensor]]):
    """A data set of which every eighth row cannot be read."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:  # type: ignore[override]  # as a loader calls it
        """A row."""
        if index % 8 == 1:
            raise Boom("secret row")
        return super().__getitem__(index)


class RaisesAt(TrainerCallback):
    """Another callback, which raises in one of its hooks at step 3."""

    def __init__(self, hook: str, error: BaseException) -> None:
        def raising(_: object, state: object, *__: object, **___: object) -> None:
            if getattr(state, "global_step", 0) == 3:
                raise error

        setattr(self, hook, raising)


def ended(folder: Path) -> tuple[str, str | None]:
    run = api.monitor(folder / "run.jsonl").run
    assert names(folder / "run.jsonl")[-1] == "run_end"
    return run.outcome.value, run.reason


def test_an_exception_in_the_training_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())

    def broken(*_: object, **__: object) -> torch.Tensor:
        raise Boom("secret batch")

    monkeypatch.setattr(trainer, "training_step", broken)
    with pytest.raises(Boom, match="secret batch"):
        trainer.train()
    assert ended(tmp_path) == ("error", "Boom")
    assert "secret" not in (tmp_path / "run.jsonl").read_text()


def test_an_exception_in_the_data_loader(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.train_dataset = OneBadRow(rows(64))
    with pytest.raises(Boom):
        trainer.train()
    assert ended(tmp_path) == ("error", "Boom")


def test_an_exception_in_an_evaluation(tmp_path: Path) -> None:
    bad: Rows = OneBadRow(rows(16))
    trainer = tiny_trainer(
        tmp_path, GradienceCallback(), eval_sets=bad, eval_strategy="steps", eval_steps=4
    )
    with pytest.raises(Boom):
        trainer.train()
    assert ended(tmp_path) == ("error", "Boom")
    assert api.monitor(tmp_path / "run.jsonl").run.last_step == 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Boom("secret"), ("error", "Boom")),
        (KeyboardInterrupt(), ("aborted", "KeyboardInterrupt")),
        (SystemExit(3), ("aborted", "SystemExit")),
    ],
)
@pytest.mark.parametrize("hook", ["on_step_end", "on_pre_optimizer_step"])
def test_an_exception_in_another_callback(
    tmp_path: Path, hook: str, error: BaseException, expected: tuple[str, str]
) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.add_callback(RaisesAt(hook, error))
    with pytest.raises(type(error)) as caught:
        trainer.train()
    assert caught.value is error
    assert ended(tmp_path) == expected
    assert api.monitor(tmp_path / "run.jsonl").run.last_step == 3


def test_an_exceptions_text_is_kept_only_by_opt_in(tmp_path: Path) -> None:
    config = GradienceCallbackConfig(telemetry_allow_text=True)
    trainer = tiny_trainer(tmp_path, GradienceCallback(config))
    trainer.add_callback(RaisesAt("on_step_end", Boom("the text")))
    with pytest.raises(Boom):
        trainer.train()
    assert ended(tmp_path) == ("error", "Boom: the text")


def test_training_after_an_exception_is_recorded_as_ever(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    failing = RaisesAt("on_step_end", Boom())
    trainer.add_callback(failing)
    with pytest.raises(Boom):
        trainer.train()
    trainer.remove_callback(failing)
    trainer.train()
    (kept,) = tmp_path.glob("run.*.jsonl")
    assert api.monitor(kept).run.reason == "Boom"
    assert ended(tmp_path) == ("ok", None)


class OwnTrain(Trainer):
    """A Trainer with a ``train`` of its own."""

    def train(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # as users do
        """Trains, then fails."""
        super().train(*args, **kwargs)  # type: ignore[arg-type]  # handed on
        raise Boom


def test_a_subclass_with_its_own_train_is_watched(tmp_path: Path) -> None:
    made = tiny_trainer(tmp_path, TrainerCallback())
    callback = GradienceCallback()
    trainer = OwnTrain(
        model=made.model, args=made.args, train_dataset=rows(64), callbacks=[callback]
    )
    trainer.add_callback(RaisesAt("on_step_end", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert ended(tmp_path) == ("aborted", "KeyboardInterrupt")
    assert isinstance(trainer.train, WatchedTrain)
    assert inspect.signature(trainer.train) == inspect.signature(OwnTrain.train).replace(
        parameters=list(inspect.signature(OwnTrain.train).parameters.values())[1:]
    )


def test_an_exception_after_the_run_has_ended_changes_nothing(tmp_path: Path) -> None:
    made = tiny_trainer(tmp_path, TrainerCallback())
    trainer = OwnTrain(
        model=made.model, args=made.args, train_dataset=rows(64), callbacks=[GradienceCallback()]
    )
    with pytest.raises(Boom):
        trainer.train()
    assert ended(tmp_path) == ("ok", None)


def test_each_trainer_of_a_shared_callback_is_watched(tmp_path: Path) -> None:
    callback = GradienceCallback()
    trainers = [tiny_trainer(tmp_path / name, callback) for name in ("a", "b")]
    for trainer, folder in zip(trainers, ("a", "b"), strict=True):
        trainer.add_callback(RaisesAt("on_step_end", Boom()))
        with pytest.raises(Boom):
            trainer.train()
        assert ended(tmp_path / folder) == ("error", "Boom")


def test_two_callbacks_of_one_trainer_both_learn_of_the_end(tmp_path: Path) -> None:
    first, second = (
        GradienceCallback(GradienceCallbackConfig(filename=f"{n}.jsonl")) for n in "ab"
    )
    made = tiny_trainer(tmp_path, TrainerCallback())
    trainer = Trainer(
        model=made.model,
        args=made.args,
        train_dataset=rows(64),
        callbacks=[first, second, RaisesAt("on_step_end", Boom())],
    )
    with pytest.raises(Boom):
        trainer.train()
    reasons = [api.monitor(tmp_path / f"{name}.jsonl").run.reason for name in "ab"]
    assert reasons == ["Boom", "Boom"]


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.watched = 0
        self.errors: list[BaseException] = []

    def training_left(self, error: BaseException) -> None:
        """An exception left the training."""
        self.errors.append(error)


class Model:
    """Something that trains."""

    def __init__(self) -> None:
        self.callback_handler: object = None

    def train(self, number: int) -> int:
        """Fails on 0."""
        return 1 // number


def test_a_train_is_watched_once_for_each_listener() -> None:
    trainer, one, other = Model(), Listener(), Listener()
    for listener in (one, other, one, other):
        watch_train(trainer, listener)
    with pytest.raises(ZeroDivisionError):
        trainer.train(0)
    assert [type(error) for error in one.errors + other.errors] == [ZeroDivisionError] * 2
    assert (trainer.train(1), one.watched, other.watched) == (1, 0, 0)


def test_a_train_that_was_replaced_before_is_kept() -> None:
    trainer, listener = Model(), Listener()
    trainer.train = lambda number: 10 * number  # type: ignore[method-assign]  # as users do
    watch_train(trainer, listener)
    assert trainer.train(2) == 20


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301
def test_a_watched_trainer_can_be_copied(duplicate: Callable[[Model], Model]) -> None:
    trainer, listener = Model(), Listener()
    watch_train(trainer, listener)
    copied = duplicate(trainer)
    with pytest.raises(ZeroDivisionError):
        copied.train(0)
    watched: object = copied.train
    assert isinstance(watched, WatchedTrain)
    assert id(watched.trainer) == id(copied)
    assert listener.errors == []
    assert isinstance(watched.listener, Listener)
    assert len(watched.listener.errors) == 1


def test_a_trainer_that_nobody_else_holds_still_trains() -> None:
    def made() -> Model:
        trainer = Model()
        watch_train(trainer, Listener())
        return trainer

    assert made().train(1) == 1


def test_a_callback_that_no_trainer_is_making_finds_none() -> None:
    assert trainer_being_made(GradienceCallback()) is None


def test_a_reason_needs_no_text_and_survives_a_broken_one() -> None:
    class Mute(Exception):  # noqa: N818  named for the record
        def __str__(self) -> str:
            raise RuntimeError

    assert reason_of(None, allow_text=True) == "training was left"
    assert reason_of(Mute(), allow_text=True) == "Mute"
    assert reason_of(Boom(), allow_text=True) == "Boom"
    assert reason_of(Boom("x"), allow_text=False) == "Boom"


@pytest.fixture
def sigterm() -> Iterator[list[int]]:
    """The signals that an earlier handler gets; the handler is put back afterwards."""
    seen: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_recorded_and_then_handled_as_before(sigterm: list[int]) -> None:
    before, recorded = signal.getsignal(signal.SIGTERM), []
    record = SigtermRecord(lambda: recorded.append(len(sigterm)))
    record.install()
    os.kill(os.getpid(), signal.SIGTERM)
    record.remove()
    os.kill(os.getpid(), signal.SIGTERM)
    assert (recorded, sigterm) == ([0], [signal.SIGTERM] * 2)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_on_top_is_left_there(sigterm: list[int]) -> None:
    recorded: list[str] = []
    record = SigtermRecord(lambda: recorded.append("late"))
    record.install()
    below = signal.getsignal(signal.SIGTERM)
    assert callable(below)
    signal.signal(signal.SIGTERM, partial(below))
    record.remove()
    os.kill(os.getpid(), signal.SIGTERM)
    assert (recorded, sigterm) == ([], [signal.SIGTERM])


@pytest.mark.usefixtures("sigterm")
def test_a_process_that_ignores_sigterm_is_left_as_it_is() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    SigtermRecord(lambda: None).install()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@pytest.mark.usefixtures("sigterm")
def test_only_the_main_thread_installs_a_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    record = SigtermRecord(lambda: None)
    thread = threading.Thread(target=record.install)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_excepthook_is_chained_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *given: seen.append(given[0]))
    before = sys.excepthook
    chance = LastChance(lambda status, error: seen.append((status, type(error))))
    chance.install()
    sys.excepthook(Boom, Boom(), None)
    chance.remove()
    chance.remove()
    assert seen == [(RunStatus.ERROR, Boom), Boom]
    assert sys.excepthook is before
