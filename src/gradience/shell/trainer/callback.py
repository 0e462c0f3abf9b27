"""The Trainer callback: the one line that records a run."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradience.core.telemetry.codec import COLLISION_PREFIX
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
    prefix) and ``run_end``. Evaluations outside training are appended to the same run.

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
        self._writer: TelemetryWriter | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Writes ``run_start``."""
        del control
        model = kwargs.get("model")

        def record(writer: TelemetryWriter) -> None:
            meta = run_meta(args, model)
            if state.global_step:
                meta["resumed_from_step"] = state.global_step
            writer.run_start(config_snapshot(args, model, self.config), meta)

        if self._trained:
            self._run_id = self.config.run_id
        self._trained = True
        self._record(args, state, record)

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
        if not logs:
            return
        kind = log_kind(logs)
        if kind is LogKind.TRAIN_STEP:
            hot = {name: logs[key] for key, name in HOT_KEYS.items() if key in logs}
            rest = {
                COLLISION_PREFIX + key if key in METHOD_NAMES else key: value
                for key, value in logs.items()
                if key not in HOT_KEYS
            }
            self._record(args, state, lambda w: w.train_step(state.global_step, **hot, **rest))
        elif kind is LogKind.SUMMARY:
            metrics = dict(logs)
            self._record(
                args,
                state,
                lambda w: w.metrics(state.global_step, kind="train_summary", metrics=metrics),
            )

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
        if metrics:
            self._record_eval(args, state, metrics)

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, object],
        **kwargs: object,
    ) -> None:
        """Writes ``eval`` for a prediction over labelled data (split ``test`` by default)."""
        del control, kwargs
        self._record_eval(args, state, metrics)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Writes ``run_end`` and closes the file."""
        del control, kwargs
        self._record(args, state, lambda writer: writer.run_end("ok", step=state.global_step))
        with self._never_fatal():
            self._close()

    def _record_eval(
        self, args: TrainingArguments, state: TrainerState, metrics: Mapping[str, object]
    ) -> None:
        split, values = split_metrics(metrics)
        in_training = self._writer is not None
        self._record(args, state, lambda w: w.eval(state.global_step, split=split, metrics=values))
        if not in_training:
            with self._never_fatal():
                self._close()

    def _record(
        self,
        args: TrainingArguments,
        state: TrainerState,
        record: Callable[[TelemetryWriter], None],
    ) -> None:
        """Hands the open writer to ``record``, on world rank zero alone."""
        if not state.is_world_process_zero:
            return
        with self._never_fatal():
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
            self._writer.close()
            self._writer = None

    @contextmanager
    def _never_fatal(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  training goes on whatever happens here
            self.dropped_events += 1
            if self.dropped_events == 1:
                logger.warning(
                    "telemetry event dropped (%s); training goes on, further drops are counted "
                    "in GradienceCallback.dropped_events",
                    type(error).__name__,
                )
