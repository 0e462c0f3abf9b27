"""A progress bar on stderr for work that takes longer than a second."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 1.0
"""Seconds of silence before the bar appears."""


@contextmanager
def module_progress() -> Iterator[Callable[[int, int], None]]:
    """A callback for (done, total); the bar shows on a terminal, after a second, and is wiped."""
    begun = time.monotonic()
    bar: Progress | None = None
    task: TaskID | None = None

    def on_module(done: int, total: int) -> None:
        nonlocal bar, task
        if bar is None and sys.stderr.isatty() and time.monotonic() - begun > PATIENCE_S:
            bar, task = _start_bar(total)
        if bar is not None and task is not None:
            bar.update(task, completed=done)

    try:
        yield on_module
    finally:
        if bar is not None:
            bar.stop()


def _start_bar(total: int) -> "tuple[Progress, TaskID]":
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("auditing modules", total=total)
    bar.start()
    return bar, task
