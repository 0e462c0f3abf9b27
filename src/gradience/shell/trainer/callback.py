"""The Trainer callback: the one line that records a run."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradience.core.telemetry.encode import free_key
from gradience.core.telemetry.events import RunStatus
from gradience.core.telemetry.trainer_logs import LogKind, log_kind, split_metrics
from gradience.shell.telemetry.writer import status_of
from gradience.shell.trainer.driven_parts import DrivenParts
from gradience.shell.trainer.endings import (
    LastChance,
    SigtermRecord,
    reason_of,
    trainer_being_made,
    watch_train,
)
from gradience.shell.trainer.live_alerts import LiveAlerts
from gradience.shell.trainer.parts import TrainingRun
from gradience.shell.trainer.recorder import RunRecorder
from gradience.shell.trainer.settings import GradienceCallbackConfig
from gradience.shell.trainer.wiring import parts_of

logger = logging.getLogger("gradience")

METHOD_NAMES = frozenset({"self", "step", "lr"})
"""Parameters of ``TelemetryWriter.train_step`` that a log may not be mistaken for."""

HOT_KEYS = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm", "epoch": "epoch"}
"""The Trainer's names of the hot fields, and the telemetry's."""


class GradienceCallback(TrainerCallback):
    """Records a Trainer run as telemetry v1 in ``<output_dir>/run.jsonl``.

    ``Trainer(..., callbacks=[GradienceCallback()])`` is all it takes. It writes ``run_start``,
    a ``train_step`` for every log, an ``eval`` for every evaluation set (named after the metric
    prefix) and ``run_end``. Evaluations outside training are appended to the same run. A training
    resumed from a checkpoint continues its run; a new one keeps the file that is there under a
    dated name.

    The Trainer has no hook for a training that breaks off. So the callback puts a callable that
    records how around ``trainer.train`` of the Trainer it is given to, and handles SIGTERM while
    a training runs. Nothing else of the user's is changed. One that is added later
    (``add_callback``) learns of an exception that ends the interpreter, else of the next training.

    Telemetry never takes a training run down: whatever goes wrong here is logged once and
    counted in :attr:`dropped_events`. A copy, pickled or not, has the settings and no run.

    Args:
        config: Where to write and what to name the run.
    """

    def __init__(self, config: GradienceCallbackConfig | None = None) -> None:
        self.config = config or GradienceCallbackConfig()
        self.watched = 0
        """Number of watched ``train`` calls that are under way."""
        self._recorder = RunRecorder(self.config)
        self._parts: DrivenParts | None = None
        self._live: LiveAlerts | None = None
        self._failed_hooks = 0
        self._stopped_by_hook: str | None = None
        """Code of the alert for which the hook ended the training."""
        self._about_to_save = False
        self._sigterm: SigtermRecord | None = None
        self._last_chance: LastChance | None = None

    @property
    def dropped_events(self) -> int:
        """Events lost since the callback was made."""
        return self._recorder.dropped_events

    @property
    def failed_hooks(self) -> int:
        """Calls of ``on_alert`` that raised, since the callback was made."""
        return self._failed_hooks + (0 if self._live is None else self._live.failed_calls)

    @property
    def path(self) -> Path | None:
        """The telemetry file, once the first event is written."""
        return self._recorder.path

    def on_init_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Puts the record of endings around ``train`` of the Trainer that is being made."""
        del args, state, control, kwargs
        with self._recorder.never_fatal():
            trainer = trainer_being_made(self)
            if trainer is not None:
                watch_train(trainer, self)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Writes ``run_start``, and before it the ``run_end`` of a training that broke off."""
        del control
        self._leave(RunStatus.ERROR, "training began again")
        if state.is_world_process_zero:
            self._live = self._live_alerts()
        self._recorder.listener = None if self._live is None else self._live.add
        self._recorder.begin(args, state, kwargs.get("model"))
        with self._recorder.never_fatal():
            self._watch_endings()
        with self._recorder.never_fatal():
            self._begin_parts(args, state, kwargs)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Shows the parts the gradients of the step that is about to be done."""
        del args, control, kwargs
        self._recorder.step_begun()
        if self._parts is not None:
            self._parts.before_optimizer_step(state.global_step + 1)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Shows the parts the step that was done; one of them may stop the training."""
        del kwargs
        self._about_to_save = _may_be_saved(state, control)
        if self._parts is not None and self._parts.after_step(state.global_step):
            control.should_training_stop = True
        self._judge(args, state, control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Writes ``train_step``, or the closing summary; evaluations come to on_evaluate."""
        del kwargs
        with self._recorder.never_fatal():
            if logs:
                self._record_log(args, state, _with_text_keys(logs))
        self._judge(args, state, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Writes ``eval``, its split named after the metric prefix."""
        del kwargs
        with self._recorder.never_fatal():
            if metrics:
                split, values = split_metrics(_with_text_keys(metrics))
                step = state.global_step
                self._recorder.record_outside_training(
                    args, state, lambda writer: writer.eval(step, split=split, metrics=values)
                )
        self._judge(args, state, control)

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Writes ``eval`` for a prediction over labelled data (split ``test`` by default)."""
        self.on_evaluate(args, state, control, metrics, **kwargs)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Writes ``run_end`` and closes the file."""
        del args, state, control, kwargs
        self._leave(RunStatus.OK)

    def training_left(self, error: BaseException) -> None:
        """Writes ``run_end`` for a training that an exception has left."""
        reason = reason_of(error, allow_text=self.config.telemetry_allow_text)
        self._leave(status_of(type(error)), reason)

    def __getstate__(self) -> dict[str, object]:
        """The settings and what a subclass has of its own; never the run."""
        fresh = vars(GradienceCallback(self.config))
        return {**vars(self), **fresh}

    def _leave(self, status: RunStatus, reason: str | None = None) -> None:
        """Ends the training that is under way, if there is one."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.end(self._recorder.step)
            if parts.stopped_by is not None and status is RunStatus.OK:
                status, reason = RunStatus.ABORTED, stop_reason(parts.stopped_by)
        if self._live is not None:
            if status is RunStatus.OK:
                self._live.judge(self._recorder.step, now=True)
            self._failed_hooks += self._live.failed_calls
        if self._stopped_by_hook is not None and status is RunStatus.OK:
            status, reason = RunStatus.ABORTED, self._stopped_by_hook
        self._live = self._stopped_by_hook = self._recorder.listener = None
        self._recorder.end(status, reason)
        with self._recorder.never_fatal():
            for ending in (self._sigterm, self._last_chance):
                if ending is not None:
                    ending.remove()
        self._sigterm = self._last_chance = None

    def _watch_endings(self) -> None:
        self._sigterm = SigtermRecord(lambda: self._recorder.interrupt("SIGTERM"))
        self._sigterm.install()
        if not self.watched:
            self._last_chance = LastChance(self._left_unwatched)
            self._last_chance.install()

    def _left_unwatched(self, status: RunStatus, error: BaseException | None) -> None:
        reason = reason_of(error, allow_text=self.config.telemetry_allow_text)
        self._leave(status, reason)

    def _begin_parts(
        self, args: TrainingArguments, state: TrainerState, given: Mapping[str, object]
    ) -> None:
        parts, model, optimizer = parts_of(self.config), given.get("model"), given.get("optimizer")
        if not parts or not isinstance(model, torch.nn.Module):
            return
        run = TrainingRun(
            args=args,
            model=model,
            optimizer=optimizer,  # type: ignore[arg-type]  # accelerate's is not always a subclass
            alert=lambda *a, **k: self._recorder.record_own(lambda w: w.alert(*a, **k)),
            metrics=lambda *a, **k: self._recorder.record_own(lambda w: w.metrics(*a, **k)),
            about_to_save=lambda: self._about_to_save,
        )
        self._parts = DrivenParts(parts, run)
        self._parts.begin(state.global_step)

    def _live_alerts(self) -> LiveAlerts | None:
        if self.config.on_alert is None:
            return None
        allowed = self.config.telemetry_allow_text
        return LiveAlerts(
            self.config.on_alert,
            lambda *a, **k: self._recorder.record_own(lambda w: w.alert(*a, **k)),
            every=self.config.alert_every,
            min_severity=self.config.alert_min_severity,
            policy=self.config.alert_policy,
            max_text=None if allowed else self.config.max_str_len,
        )

    def _judge(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        """Tells the user's hook of new alerts; one of them may stop the training."""
        if self._live is None:
            return
        alert = self._live.judge(state.global_step)
        if alert is None:
            return
        if args.world_size > 1:
            # The other processes would wait for this one in the next exchange of gradients.
            logger.warning(
                "on_alert asked to stop for %s: not done, as several processes train together",
                alert.code,
            )
            return
        control.should_training_stop = True
        self._stopped_by_hook = self._stopped_by_hook or alert.code

    def _record_log(
        self, args: TrainingArguments, state: TrainerState, logs: Mapping[str, object]
    ) -> None:
        step, kind = state.global_step, log_kind(logs)
        if kind is LogKind.TRAIN_STEP:
            fields = _train_step_fields(logs)
            if self._parts is not None:
                for key, value in self._parts.log_fields(step).items():
                    fields[free_key(key, METHOD_NAMES | fields.keys(), fields)] = value
            self._recorder.record(args, state, lambda w: w.train_step(step, **fields))
        elif kind is LogKind.SUMMARY:
            self._recorder.record(
                args, state, lambda w: w.metrics(step, kind="train_summary", metrics=logs)
            )


def stop_reason(part: object) -> str:
    """Why a part stopped the training: its ``stop_reason``, where it has one, or its name."""
    given = getattr(part, "stop_reason", None)
    return given if isinstance(given, str) else f"stopped by {type(part).__name__}"


def _may_be_saved(state: TrainerState, control: TrainerControl) -> bool:
    """Whether the weights after this step may be kept: only later is that certain.

    An epoch's checkpoint is asked for after its last step, the best one's after its evaluation.
    """
    epoch_over = float(state.epoch).is_integer()
    last = state.global_step >= state.max_steps
    return control.should_save or control.should_evaluate or epoch_over or last


def _train_step_fields(logs: Mapping[str, object]) -> dict[str, object]:
    hot = {name: logs[key] for key, name in HOT_KEYS.items() if key in logs}
    rest = {
        free_key(key, METHOD_NAMES, logs): value
        for key, value in logs.items()
        if key not in HOT_KEYS
    }
    return {**hot, **rest}


def _with_text_keys(values: Mapping[str, object]) -> Mapping[str, object]:
    """The same values; a key that a caller gave as something else is its text."""
    return {str(key): value for key, value in values.items()}
