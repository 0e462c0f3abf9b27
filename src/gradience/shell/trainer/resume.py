"""Which run it is that goes on, and where the file of an earlier one is kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from transformers import TrainerState

from gradience.core.foreign_logs.checkpoints import RUN_ID_ENTRY
from gradience.core.telemetry.decode import decode_line

TAIL_BYTES = 2**20
"""How much of a file's end is read to find its latest runs: some thousand events."""


def checkpoint_run_id(state: TrainerState, filename: str) -> str | None:
    """The id of the run that wrote the checkpoint; None where it does not say."""
    entry = _entries(state).get(RUN_ID_ENTRY)
    found = entry.get(filename) if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def remember_run_id(state: TrainerState, filename: str, run_id: str) -> None:
    """Puts the run's id where the Trainer's next checkpoint takes it along."""
    entries = _entries(state)
    entry = entries.get(RUN_ID_ENTRY)
    others = entry if isinstance(entry, dict) else {}
    entries[RUN_ID_ENTRY] = {**others, filename: run_id}


def latest_runs(path: Path) -> dict[str, int | None]:
    """The runs at a file's end and the highest step of each there, the latest run last.

    Only the last :data:`TAIL_BYTES` are read. No file, or none of this schema: no runs.
    """
    runs: dict[str, int | None] = {}
    for line in _last_lines(path):
        event = decode_line(line).event
        if event is None or event.run_id is None:
            continue
        before = runs.pop(event.run_id, None)
        steps = [step for step in (before, event.step) if step is not None]
        runs[event.run_id] = max(steps, default=None)
    return runs


def last_run_id(path: Path) -> str | None:
    """The run that a file's last event belongs to."""
    return next(reversed(latest_runs(path)), None)


def run_reaching(path: Path, step: int) -> str | None:
    """The latest run of a file that came as far as ``step``."""
    runs = reversed(latest_runs(path).items())
    return next((run_id for run_id, last in runs if last is not None and last >= step), None)


def dated_name(path: Path) -> Path:
    """The first free ``run.<YYYYmmdd-HHMMSS>.jsonl``: UTC, of the file's last modification."""
    changed = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    stem = f"{path.stem}.{changed:%Y%m%d-%H%M%S}"
    candidate, number = path.with_name(stem + path.suffix), 1
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{stem}-{number}{path.suffix}")
    return candidate


def keep_old_file(path: Path) -> Path | None:
    """Moves what is in the way of a new run to its dated name; None where nothing is.

    Raises:
        OSError: The folder does not let it be moved.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    return path.rename(dated_name(path))


def _entries(state: TrainerState) -> dict[str, object]:
    """The state's own table of what callbacks put into checkpoints (annotated as a list there)."""
    found: object = state.stateful_callbacks
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _last_lines(path: Path) -> list[bytes]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            start = max(0, path.stat().st_size - TAIL_BYTES)
            file.seek(start)
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return []
    return lines[1:] if start else lines
