"""The logs of runs below a folder."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gradience.core.errors import TelemetryError

TRAINER_STATE = "trainer_state.json"
"""What the Trainer leaves in every checkpoint, and beside a finished model."""

LOG_NAMES = frozenset(
    {TRAINER_STATE, "run.jsonl", "trainer_log.jsonl", "logging.jsonl", "log_history.json"}
)
"""Names that only logs have: one that cannot be read is worth a warning."""

LOG_PATTERN = re.compile(r".*\.jsonl|log_\d+\.txt|.*training_logs?\.json", re.DOTALL)
"""Names that logs and other files have: JSON Lines, torchtune's ``log_<time>.txt``."""

LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that hold no runs; so do those whose name begins with a dot."""

CHECKPOINT = re.compile(r"checkpoint-\d+")
"""The Trainer's name for a checkpoint's folder."""


def find_logs(folder: Path, on_unlisted: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files below a folder that may be logs of runs, by their names, in the order of the tree.

    Args:
        folder: Symbolic links to folders below it are not followed.
        on_unlisted: Is told of each folder below it that cannot be listed.

    Yields:
        The files.

    Raises:
        TelemetryError: The folder itself cannot be listed.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise TelemetryError(f"{folder}: cannot list the folder: {error.strerror}.") from error
    for parent, folders, files in os.walk(folder, onerror=on_unlisted):
        folders[:] = sorted(
            (name for name in folders if name not in LEFT_OUT and not name.startswith(".")),
            key=natural_order,
        )
        for name in sorted(files, key=natural_order):
            if name in LOG_NAMES or LOG_PATTERN.fullmatch(name):
                yield Path(parent, name)


def distinct_files(paths: Sequence[Path]) -> list[Path]:
    """The paths without those that are links to the file of another one, in the same order."""
    known: set[tuple[int, int]] = set()
    links: set[Path] = set()
    for path in sorted(paths, key=os.path.islink):
        try:
            status = path.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in known:
            links.add(path)
        known.add((status.st_dev, status.st_ino))
    return [path for path in paths if path not in links]


def output_folder(state: Path) -> Path:
    """The folder that a run wrote its checkpoints to, by the place of a trainer state."""
    parent = state.parent
    return parent.parent if CHECKPOINT.fullmatch(parent.name) else parent


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key by which ``checkpoint-500`` stands before ``checkpoint-1000``."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts)
