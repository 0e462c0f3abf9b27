"""``monitor`` of every run below a folder, from Python."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from gradience.api.monitoring import StrPath, monitor_policy, report_of
from gradience.core.errors import GradienceError
from gradience.core.foreign_logs.checkpoints import (
    PlacedState,
    RunGroup,
    group_checkpoints,
    recorded_run_ids,
)
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.runs_table import (
    RunRow,
    RunsReport,
    UnreadLog,
    run_row,
    with_ranks,
)
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.events import TrainStep
from gradience.shell.files import read_mapping
from gradience.shell.run_discovery import (
    LOG_NAMES,
    TRAINER_STATE,
    distinct_files,
    find_logs,
    natural_order,
    output_folder,
)
from gradience.shell.telemetry.run_log import open_run_log


def monitor_folder(
    folder: StrPath,
    *,
    gap_threshold: float | None = None,
    strict_schema: bool = False,
    policy: MonitorPolicy | None = None,
) -> RunsReport:
    """Says what happened in every run below a folder.

    A run's checkpoints are one row: a ``trainer_state.json`` whose log is the beginning of a later
    one's in the same output folder belongs to that run, and one that carries the run id of a
    recording, or whose last loss stands in the telemetry of its output folder, belongs to that
    recording. Checkpoints of several runs in one folder are told apart. The logs of a distributed
    run's further processes belong to the row of its first.

    Args:
        folder: Where to look, at any depth.
        gap_threshold: Held-out over training perplexity from which on an alert is raised.
        strict_schema: Leaves out, with the reason, each log with an issue of severity warning or
            above.
        policy: All thresholds.

    Returns:
        The report: a row for each run, and the files and folders that were not read, with the
        reason.

    Raises:
        TelemetryError: The folder cannot be listed.
    """
    judged_by = monitor_policy(policy, gap_threshold)
    runs = _RunsBelow(Path(folder), judged_by, strict_schema=strict_schema)
    unlisted: list[OSError] = []
    paths = distinct_files(list(find_logs(runs.root, unlisted.append)))
    for error in unlisted:
        runs.leave_out_folder(error)
    for path in paths:
        if path.name == TRAINER_STATE:
            runs.read_state(path)
        else:
            runs.read_log(path)
    runs.place_checkpoints()
    rows = sorted(with_ranks(runs.rows.values()), key=lambda row: natural_order(row.file))
    return RunsReport(folder=str(folder), runs=tuple(rows), unread=tuple(runs.unread))


class _RunsBelow:
    """What was found below a folder."""

    def __init__(self, root: Path, policy: MonitorPolicy, *, strict_schema: bool) -> None:
        self.root = root
        self.rows: dict[str, RunRow] = {}
        """Log → its row."""
        self.unread: list[UnreadLog] = []
        self._policy = policy
        self._strict_schema = strict_schema
        self._states: dict[str, Mapping[str, object]] = {}

    def read_log(self, path: Path) -> None:
        """Judges the run of a log."""
        file = self._place(path)
        try:
            log = open_run_log(path, strict_schema=self._strict_schema)
            report = report_of(log, str(path), self._policy)
        except GradienceError as error:
            self._leave_out(file, error)
        else:
            self.rows[file] = run_row(report, log.kind.value, file)

    def read_state(self, path: Path) -> None:
        """Reads a trainer state, whose run is known when all are read."""
        file = self._place(path)
        try:
            self._states[file] = read_mapping(path)
        except GradienceError as error:
            self._leave_out(file, error)

    def leave_out_folder(self, error: OSError) -> None:
        """A folder could not be listed."""
        file = self._place(Path(str(error.filename)))
        reason = f"{error.filename}: cannot list the folder: {error.strerror}"
        self.unread.append(UnreadLog(file=file, severity=Severity.WARNING, reason=reason))

    def place_checkpoints(self) -> None:
        """Finds the run of each state: a recording's, or one of its own."""
        by_output: dict[Path, list[PlacedState]] = {}
        for file, state in self._states.items():
            home = output_folder(self.root / file)
            by_output.setdefault(home, []).append(PlacedState(file, state))
        alone: list[RunGroup] = []
        recordings = self._recordings()
        for output, states in by_output.items():
            for group in group_checkpoints(states):
                here = recordings.in_folder.get(output, [])
                row = _recorded(self._states[group.latest], recordings, here)
                if row is None:
                    alone.append(group)
                else:
                    self._add_checkpoints(row.file, group)
        for group in alone:
            self.read_log(self.root / group.latest)
            if group.latest in self.rows:
                self._add_group(group)

    def _recordings(self) -> "_Recordings":
        found = _Recordings({}, {})
        for row in with_ranks(self.rows.values()):
            if row.kind == LogFileKind.TELEMETRY_V1.value:
                path = self.root / row.file
                found.in_folder.setdefault(path.parent, []).append(_Recording(path, row))
                found.by_id.setdefault(row.run_id, row)
        return found

    def _add_checkpoints(self, file: str, group: RunGroup) -> None:
        row = self.rows[file]
        places = (*row.checkpoints, *group.places)
        self.rows[file] = msgspec.structs.replace(row, checkpoints=places)

    def _add_group(self, group: RunGroup) -> None:
        self.rows[group.latest] = msgspec.structs.replace(
            self.rows[group.latest],
            checkpoints=group.places if len(group.places) > 1 else (),
            branch_of=group.branch_of,
            why=group.reason,
        )

    def _place(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def _leave_out(self, file: str, error: GradienceError) -> None:
        severity = Severity.WARNING if Path(file).name in LOG_NAMES else Severity.INFO
        self.unread.append(UnreadLog(file=file, severity=severity, reason=str(error)))


class _Recording(NamedTuple):
    """A telemetry file and its row."""

    path: Path
    row: RunRow


class _Recordings(NamedTuple):
    """All telemetry below a folder."""

    in_folder: dict[Path, list[_Recording]]
    by_id: dict[str | None, RunRow]


def _recorded(
    state: Mapping[str, object], recordings: _Recordings, here: Sequence[_Recording]
) -> RunRow | None:
    """The recording of a checkpoint's run, ``here`` or by its id elsewhere; None for none."""
    ids = recorded_run_ids(state)
    beside = (found.row for found in here if found.row.run_id in ids)
    elsewhere = (recordings.by_id[run_id] for run_id in sorted(ids & recordings.by_id.keys()))
    known = next(beside, None) or next(elsewhere, None)
    if known is not None:
        return known
    last = _last_loss(state)
    if last is None:
        return here[0].row if len(here) == 1 and not state.get("log_history") else None
    return next((found.row for found in here if last in _losses(found.path)), None)


def _last_loss(state: Mapping[str, object]) -> tuple[int, float] | None:
    rows = state.get("log_history")
    for row in reversed(rows if isinstance(rows, list) else []):
        if isinstance(row, Mapping) and "loss" in row:
            step, loss = row.get("step"), real_number(row["loss"])
            return (step, loss) if isinstance(step, int) and loss is not None else None
    return None


def _losses(path: Path) -> Iterator[tuple[int | None, float | None]]:
    try:
        for event in open_run_log(path).iter_events("train_step"):
            if isinstance(event, TrainStep):
                yield event.step, event.loss
    except GradienceError:
        return
