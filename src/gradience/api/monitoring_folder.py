"""``monitor`` of every run below a folder, from Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from gradience.api.monitoring import StrPath, monitor
from gradience.core.errors import GradienceError
from gradience.core.foreign_logs.checkpoints import PlacedState, RunGroup, group_checkpoints
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.runs_table import RunRow, RunsReport, UnreadLog, run_row
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.events import TrainStep
from gradience.shell.files import read_mapping
from gradience.shell.run_discovery import (
    LOG_NAMES,
    TRAINER_STATE,
    find_logs,
    natural_order,
    output_folder,
)
from gradience.shell.telemetry.run_log import open_run_log


def monitor_folder(
    folder: StrPath,
    *,
    gap_threshold: float | None = None,
    policy: MonitorPolicy | None = None,
) -> RunsReport:
    """Says what happened in every run below a folder.

    A run's checkpoints are one row: a ``trainer_state.json`` whose log is the beginning of a later
    one's in the same output folder belongs to that run, and one whose last loss stands in the
    telemetry of its output folder belongs to that recording. Checkpoints of several runs in one
    folder are told apart.

    Args:
        folder: Where to look, at any depth.
        gap_threshold: Held-out over training perplexity from which on an alert is raised.
        policy: All thresholds.

    Returns:
        The report: a row for each run, and the files that were not read, with the reason.

    Raises:
        TelemetryError: The folder cannot be listed.
    """
    root = Path(folder)
    logs = [path for path in find_logs(root) if path.name != TRAINER_STATE]
    groups, unread = _checkpoint_groups(root)
    recorded: dict[str, list[str]] = {}
    alone: list[RunGroup] = []
    for group in groups:
        home = _recording(root, group, logs)
        if home is None:
            alone.append(group)
        else:
            recorded.setdefault(home, []).extend(group.places)
    rows: list[RunRow] = []
    files = [*(str(path.relative_to(root)) for path in logs), *(g.latest for g in alone)]
    for file in sorted(files, key=natural_order):
        try:
            kind = open_run_log(root / file).kind.value
            report = monitor(root / file, gap_threshold=gap_threshold, policy=policy)
        except GradienceError as error:
            unread.append(_unread(file, error))
        else:
            rows.append(run_row(report, kind, file))
    by_latest = {group.latest: group for group in alone}
    rows = [_with_checkpoints(row, by_latest.get(row.file), recorded) for row in rows]
    return RunsReport(folder=str(folder), runs=tuple(rows), unread=tuple(unread))


def _checkpoint_groups(root: Path) -> tuple[list[RunGroup], list[UnreadLog]]:
    """The runs that the trainer states below the folder belong to, and the damaged states."""
    by_output: dict[Path, list[PlacedState]] = {}
    unread: list[UnreadLog] = []
    for path in find_logs(root):
        if path.name != TRAINER_STATE:
            continue
        place = str(path.relative_to(root))
        try:
            state = read_mapping(path)
        except GradienceError as error:
            unread.append(_unread(place, error))
        else:
            by_output.setdefault(output_folder(path), []).append(PlacedState(place, state))
    groups = [group for states in by_output.values() for group in group_checkpoints(states)]
    return groups, unread


def _unread(file: str, error: GradienceError) -> UnreadLog:
    severity = Severity.WARNING if Path(file).name in LOG_NAMES else Severity.INFO
    return UnreadLog(file=file, severity=severity, reason=str(error))


def _recording(root: Path, group: RunGroup, logs: Sequence[Path]) -> str | None:
    """The telemetry, in the group's output folder, that holds its last logged loss."""
    latest = root / group.latest
    last = _last_loss(read_mapping(latest))
    if last is None:
        return None
    for path in logs:
        if path.parent == output_folder(latest) and last in _losses(path):
            return str(path.relative_to(root))
    return None


def _last_loss(state: Mapping[str, object]) -> tuple[int, float] | None:
    rows = state.get("log_history")
    for row in reversed(rows if isinstance(rows, list) else []):
        if isinstance(row, Mapping) and "loss" in row:
            step, loss = row.get("step"), real_number(row["loss"])
            return (step, loss) if isinstance(step, int) and loss is not None else None
    return None


def _losses(path: Path) -> Iterator[tuple[int | None, float | None]]:
    try:
        log = open_run_log(path)
        if log.kind is not LogFileKind.TELEMETRY_V1:
            return
        for event in log.iter_events("train_step"):
            if isinstance(event, TrainStep):
                yield event.step, event.loss
    except GradienceError:
        return


def _with_checkpoints(
    row: RunRow, group: RunGroup | None, recorded: Mapping[str, Iterable[str]]
) -> RunRow:
    if group is not None:
        return msgspec.structs.replace(
            row,
            checkpoints=group.places if len(group.places) > 1 else (),
            branch_of=group.branch_of,
            why=group.reason,
        )
    return msgspec.structs.replace(row, checkpoints=tuple(recorded.get(row.file, ())))
