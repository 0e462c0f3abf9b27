"""Which log stands for the run of a folder."""

from pathlib import Path

from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.checkpoints import PlacedState, RunGroup, group_checkpoints
from gradience.shell.telemetry.foreign_log import read_document

LOG_NAMES = ("run.jsonl", "trainer_state.json", "logging.jsonl", "trainer_log.jsonl")
"""What logs are called, the one that holds most first: where several stand in one folder, they
tell of the same run."""

CHECKPOINT_LOGS = ("*/run.jsonl", "*/trainer_state.json")
"""Logs one folder further down."""

MAX_NAMED = 8
"""Candidates that a message names."""


def log_in_folder(folder: Path) -> Path:
    """The log of the one run that a folder holds.

    Args:
        folder: An output folder (``run.jsonl``, ``trainer_state.json`` …), or one with the
            checkpoints of one run, whose latest stands for it.

    Returns:
        The log's path.

    Raises:
        TelemetryError: There is none, or there are those of several runs; the message names them.
    """
    own = [folder / name for name in LOG_NAMES if (folder / name).is_file()]
    if own:
        return own[0]
    below = [path for pattern in CHECKPOINT_LOGS for path in sorted(folder.glob(pattern))]
    if not below:
        raise TelemetryError(
            f"{folder}: expected the log of a run in this folder or one below it, found none of "
            f"{', '.join(LOG_NAMES)}. Name the log itself."
        )
    if len(below) == 1:
        return below[0]
    if any(path.name == LOG_NAMES[0] for path in below):
        raise _several(folder, [str(path) for path in below])
    groups = checkpoint_runs(below)
    if len(groups) == 1:
        return Path(groups[0].latest)
    raise _several(folder, [f"{group.latest} ({group.reason})" for group in groups])


def checkpoint_runs(paths: list[Path]) -> tuple[RunGroup, ...]:
    """The runs that several trainer states belong to; one that does not parse belongs to none.

    Raises:
        TelemetryError: None of them parses.
    """
    states: list[PlacedState] = []
    problem: TelemetryError | None = None
    for path in paths:
        try:
            document = read_document(path)
        except TelemetryError as error:
            problem = error
            continue
        if isinstance(document, dict):
            states.append(PlacedState(str(path), document))
    if not states and problem is not None:
        raise problem
    return group_checkpoints(states)


def _several(folder: Path, candidates: list[str]) -> TelemetryError:
    listed = "; ".join(candidates[:MAX_NAMED])
    more = f"; and {len(candidates) - MAX_NAMED} more" if len(candidates) > MAX_NAMED else ""
    return TelemetryError(
        f"{folder}: expected one run, found {len(candidates)}: {listed}{more}. Name one of them, "
        f"or see them all with: gradience monitor {folder}"
    )
