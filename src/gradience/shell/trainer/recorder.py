"""The recorder: which run an event belongs to, which file it goes to, and what was lost."""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import TrainerState, TrainingArguments

from gradience.core.errors import GradienceError
from gradience.core.signals.resumes import RESUMED_FROM_STEP
from gradience.core.telemetry.events import AnyEvent, RunStatus
from gradience.shell.telemetry.writer import TelemetryWriter
from gradience.shell.trainer.resume import (
    checkpoint_run_id,
    keep_old_file,
    last_run_id,
    remember_run_id,
    run_reaching,
)
from gradience.shell.trainer.settings import GradienceCallbackConfig
from gradience.shell.trainer.snapshot import config_snapshot, run_meta

logger = logging.getLogger("gradience")

Writing = Callable[[TelemetryWriter], None]
"""Writes an event with the writer it is given."""

Listener = Callable[[AnyEvent], None]
"""Is told of an event that was written; must not raise."""


class ToldWriter(TelemetryWriter):
    """A writer that tells a listener of every event that it has written."""

    listener: Listener | None = None

    def write(self, event: AnyEvent) -> None:
        """Appends one event, and tells of it where that worked."""
        super().write(event)
        if self.listener is not None:
            self.listener(event)


class RunRecorder:
    """Records the runs of one callback, one after the other; no method raises.

    World rank zero writes the file. Other ranks write nothing, or (``per_rank_files``) what
    concerns them alone, beside it.

    Args:
        config: The callback's settings.
    """

    def __init__(self, config: GradienceCallbackConfig) -> None:
        self.config = config
        self.path: Path | None = None
        """The telemetry file, once it was opened."""
        self.dropped_events = 0
        """Events lost since the callback was made."""
        self.in_training = False
        """Whether a training has begun and not ended."""
        self.listener: Listener | None = None
        """Is told of the events of the training that begins next, and of no other."""
        self._args: TrainingArguments | None = None
        self._state: TrainerState | None = None
        self._run_id = config.run_id
        self._writer: ToldWriter | None = None
        self._lost = 0
        """Events lost since the last one that was written."""
        self._trained = False
        """Whether a training was recorded already; the next one is another run."""
        self._goes_on = False
        """Whether the training continues a run that was recorded before."""
        self._began_file: Path | None = None
        """The file that this callback began: it holds nothing older."""
        self._ended = False
        """Whether nothing was recorded since the latest ``run_end``."""
        self._writing = False
        """Whether an event is being written, which a signal may interrupt."""
        self._waiting: list[Writing] | None = None
        """Of another rank than zero: what is to be written once rank zero has begun the run."""

    @property
    def step(self) -> int:
        """Steps done in the training that is under way."""
        return 0 if self._state is None else self._state.global_step

    def begin(self, args: TrainingArguments, state: TrainerState, model: object) -> None:
        """Writes ``run_start``, and before it the ``run_end`` of a training that broke off."""
        if self.in_training:
            self.end(RunStatus.ERROR, "training began again")
        with self.never_fatal():
            self._choose_run(args, state)
        self._args, self._state = args, state
        self._trained = self.in_training = True
        self._waiting = None if state.is_world_process_zero else []

        def start(writer: TelemetryWriter) -> None:
            meta = run_meta(args, model)
            if self._goes_on:
                meta[RESUMED_FROM_STEP] = state.global_step
            writer.run_start(config_snapshot(args, model, self.config), meta)

        self.record(args, state, start)

    def record(self, args: TrainingArguments, state: TrainerState, write: Writing) -> None:
        """Writes an event of the whole run: on world rank zero, else nowhere."""
        if state.is_world_process_zero:
            self._write(args, write)

    def record_outside_training(
        self, args: TrainingArguments, state: TrainerState, write: Writing
    ) -> None:
        """The same, and closes the file where no training keeps it open."""
        self.record(args, state, write)
        if not self.in_training:
            self._close()

    def record_own(self, write: Writing) -> None:
        """Writes an event of this process alone, within a training."""
        if self._args is None or self._state is None:
            return
        if self._state.is_world_process_zero:
            self._write(self._args, write)
        elif self.config.per_rank_files and self._waiting is not None:
            self._waiting.append(write)
        elif self.config.per_rank_files:
            self._write(self._args, write)

    def step_begun(self) -> None:
        """Gradients were exchanged, so rank zero has begun the run whose id others take."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        for write in waiting:
            self.record_own(write)

    def interrupt(self, reason: str) -> None:
        """Writes ``run_end`` for a process that is about to die, and may yet go on."""
        self._write_end(RunStatus.ABORTED, reason)
        if not self._writing:
            self._close()

    def end(self, status: RunStatus, reason: str | None = None) -> None:
        """Writes ``run_end`` and closes the file; once for a training, or not at all."""
        if not self.in_training:
            return
        self.step_begun()
        if status is RunStatus.OK or not self._ended:
            self._write_end(status, reason)
        self._close()
        self.in_training = False
        self._args = self._state = None

    @contextmanager
    def never_fatal(self) -> Iterator[None]:
        """Lets no exception out; a message is shown only where it is Gradience's own."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  training goes on whatever happens here
            self._lost += 1
            self.dropped_events += 1
            if self.dropped_events == 1:
                logger.warning(
                    "telemetry event dropped (%s); training goes on, further drops are counted "
                    "in GradienceCallback.dropped_events",
                    described(error),
                )

    def _write(self, args: TrainingArguments, write: Writing) -> None:
        with self.never_fatal():
            writer = self._open_writer(args)
            writer.dropped_events = self._lost
            interrupted, self._writing = self._writing, True
            try:
                write(writer)
            finally:
                self._writing = interrupted
            self._lost = writer.dropped_events
            self._ended = False

    def _write_end(self, status: RunStatus, reason: str | None) -> None:
        state, args = self._state, self._args
        if state is None or args is None:
            return
        if state.is_world_process_zero or self._writer is not None:
            step = state.global_step
            self._write(args, lambda writer: writer.run_end(status, reason, step=step))
            self._ended = not self._lost

    def _choose_run(self, args: TrainingArguments, state: TrainerState) -> None:
        """Decides which run begins or goes on, and clears the way for a new one."""
        path, step = self._file_of(args, state), state.global_step
        again = self._trained or self._began_file != path
        self._goes_on = bool(step) or (again and self._has_given_id(path))
        before = None if self._trained else self._run_id
        self._run_id = self.config.run_id or self._resumed_run_id(path, state) or before
        if not state.is_world_process_zero:
            self._close()
            return
        self._run_id = self._run_id or str(uuid.uuid4())
        remember_run_id(state, self.config.filename, self._run_id)
        if not step and not self._is_of_this_run(path):
            self._close()
            _keep(path)
        elif self._writer is not None and self._writer.run_id != self._run_id:
            self._close()

    def _resumed_run_id(self, path: Path, state: TrainerState) -> str | None:
        if not state.global_step:
            return None
        noted = checkpoint_run_id(state, self.config.filename)
        return noted or run_reaching(path, state.global_step)

    def _is_of_this_run(self, path: Path) -> bool:
        """Whether a file's end belongs to the run that begins: its evaluations, or its id."""
        if self._began_file == path and not self._trained:
            return True
        return self._has_given_id(path)

    def _has_given_id(self, path: Path) -> bool:
        """Whether the file's last run is the one that the settings name."""
        return self.config.run_id is not None and last_run_id(path) == self.config.run_id

    def _file_of(self, args: TrainingArguments, state: TrainerState) -> Path:
        path = Path(self.config.output_dir or args.output_dir or ".") / self.config.filename
        if state.is_world_process_zero:
            return path
        return path.with_name(f"{path.stem}.rank{args.process_index}{path.suffix}")

    def _open_writer(self, args: TrainingArguments) -> TelemetryWriter:
        if self._writer is None:
            state = self._state or TrainerState()
            self.path = self._file_of(args, state)
            if not self.path.exists() or not self.path.stat().st_size:
                self._began_file = self.path
            if self._run_id is None and not state.is_world_process_zero:
                self._run_id = last_run_id(self.path.with_name(self.config.filename))
            self._writer = ToldWriter(
                self.path,
                run_id=self._run_id,
                max_str_len=self.config.max_str_len,
                allow_text=self.config.telemetry_allow_text,
                fsync_s=self.config.fsync_s,
            )
            self._run_id = self._writer.run_id
        self._writer.listener = self.listener
        return self._writer

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with self.never_fatal():
                writer.close()


def described(error: BaseException) -> str:
    """An exception for a log: its type, and the message only where it is Gradience's own."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, GradienceError) else name


def _keep(path: Path) -> None:
    try:
        keep_old_file(path)
    except OSError as error:
        logger.warning(
            "the telemetry of an earlier run cannot be moved (%s); the new run is appended to it",
            type(error).__name__,
        )
