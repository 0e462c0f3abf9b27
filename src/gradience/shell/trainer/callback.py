"""The Trainer callback: the one line that records a run."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradience.core.errors import GradienceError
from gradience.core.telemetry.encode import free_key
from gradience.core.telemetry.trainer_logs import LogKind, log_kind, split_metrics
from gradience.shell.telemetry.writer import TelemetryWriter
from gradience.shell.trainer.settings import GradienceCallbackConfig
from gradience.shell.trainer.snapshot import config_snapshot, run_meta

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
    that was left by an exception is closed as an error when the next one begins, which is a run
    of its own.

    Telemetry never takes a training run down: whatever goes wrong here is logged once and
    counted in :attr:`dropped_events`.

    Args:
        config: Where to write and what to name the run.
    """

    def __init__(self, config: GradienceCallbackConfig | None = None) -> None:
        self.config = config or GradienceCallbackConfig()
        self.dropped_events = 0
        self.path: Path | None = None
        """The telemetry file, once the first event is written."""
        self._run_id = self.config.run_id
        self._trained = False
        """Whether a training was recorded already; the next one is another run."""
        self._training = False
        """Whether a training has begun and not ended."""
        self._writer: TelemetryWriter | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Writes ``run_start``, and before it the ``run_end`` of a training that broke off."""
        del control
        self._leave_earlier_run()
        with self._never_fatal():
            self._record(args, state, lambda w: self._begin(w, args, state, kwargs.get("model")))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Writes ``train_step``, or the closing summary; evaluations come to on_evaluate."""
        del control, kwargs
        with self._never_fatal():
            if logs:
                self._record_log(args, state, _with_text_keys(logs))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Writes ``eval``, its split named after the metric prefix."""
        del control, kwargs
        with self._never_fatal():
            if metrics:
                self._record_eval(args, state, _with_text_keys(metrics))

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
        del control, kwargs
        self._training = False
        with self._never_fatal():
            self._record(args, state, lambda writer: writer.run_end("ok", step=state.global_step))
        with self._never_fatal():
            self._close()

    def _leave_earlier_run(self) -> None:
        """Ends a run that broke off; whatever was recorded before, the next run is another."""
        writer = self._writer
        if self._training and writer is not None:
            with self._never_fatal():
                writer.run_end("error", "training began again")
        if self._trained:
            with self._never_fatal():
                self._close()
            self._run_id = self.config.run_id
        self._trained = self._training = True

    def _begin(
        self, writer: TelemetryWriter, args: TrainingArguments, state: TrainerState, model: object
    ) -> None:
        meta = run_meta(args, model)
        if state.global_step:
            meta["resumed_from_step"] = state.global_step
        writer.run_start(config_snapshot(args, model, self.config), meta)

    def _record_log(
        self, args: TrainingArguments, state: TrainerState, logs: Mapping[str, object]
    ) -> None:
        step, kind = state.global_step, log_kind(logs)
        if kind is LogKind.TRAIN_STEP:
            hot = {name: logs[key] for key, name in HOT_KEYS.items() if key in logs}
            rest = {
                free_key(key, METHOD_NAMES, logs): value
                for key, value in logs.items()
                if key not in HOT_KEYS
            }
            self._record(args, state, lambda w: w.train_step(step, **hot, **rest))
        elif kind is LogKind.SUMMARY:
            self._record(args, state, lambda w: w.metrics(step, kind="train_summary", metrics=logs))

    def _record_eval(
        self, args: TrainingArguments, state: TrainerState, metrics: Mapping[str, object]
    ) -> None:
        split, values = split_metrics(metrics)
        in_training = self._writer is not None
        try:
            self._record(
                args, state, lambda w: w.eval(state.global_step, split=split, metrics=values)
            )
        finally:
            if not in_training:
                self._close()

    def _record(
        self,
        args: TrainingArguments,
        state: TrainerState,
        record: Callable[[TelemetryWriter], None],
    ) -> None:
        """Hands the open writer to ``record``, on world rank zero alone."""
        if state.is_world_process_zero:
            record(self._open_writer(args))

    def _open_writer(self, args: TrainingArguments) -> TelemetryWriter:
        if self._writer is None:
            folder = Path(self.config.output_dir or args.output_dir or ".")
            self.path = folder / self.config.filename
            self._writer = TelemetryWriter(
                self.path,
                run_id=self._run_id,
                max_str_len=self.config.max_str_len,
                allow_text=self.config.telemetry_allow_text,
            )
            self._run_id = self._writer.run_id
        return self._writer

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    @contextmanager
    def _never_fatal(self) -> Iterator[None]:
        """Lets no exception out of a hook; a message is shown only where it is Gradience's own."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  training goes on whatever happens here
            self.dropped_events += 1
            if self.dropped_events == 1:
                name = type(error).__name__
                cause = f"{name}: {error}" if isinstance(error, GradienceError) else name
                logger.warning(
                    "telemetry event dropped (%s); training goes on, further drops are counted "
                    "in GradienceCallback.dropped_events",
                    cause,
                )


def _with_text_keys(values: Mapping[str, object]) -> Mapping[str, object]:
    """The same values; a key that a caller gave as something else is its text."""
    return {str(key): value for key, value in values.items()}
