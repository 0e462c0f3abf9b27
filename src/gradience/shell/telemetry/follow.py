"""Follows the log of a run that may still be written: look by look, whatever becomes of the file.

Telemetry is read as it grows, each byte once. The logs of other tools, which are small or written
anew as a whole, are read again where they changed.
"""

import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from gradience.core.errors import GradienceError
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.issues import TelemetryIssue
from gradience.shell.telemetry.growing_file import READ_BYTES, FileChange, FileLook, GrowingFile
from gradience.shell.telemetry.run_log import RunLog, open_run_log
from gradience.shell.telemetry.telemetry_tail import TelemetryTail

READ_SHARE = 0.1
"""Of the time, that reading a log of another tool again and again may take."""


class FollowState(Enum):
    """How the file stands after a look."""

    WAITING = "waiting"
    """There is no file yet, or nothing in it that is known."""
    FOLLOWED = "followed"
    """It is there and was read as far as it goes, or as one look reads."""
    GONE = "gone"
    """It was read, and is not there now; what was read is kept."""
    UNREADABLE = "unreadable"


class Update(NamedTuple):
    """What a look found."""

    state: FollowState
    has_news: bool = False
    """Whether the signals may be others than before."""
    restarted: bool = False
    """Whether what was read before is forgotten, as the file begins anew."""
    reason: str = ""
    """What became of the file, why it cannot be read, or what it is instead of a log."""
    has_more: bool = False
    """Whether another look finds more at once."""
    modified_s: float | None = None
    """When the file was last written, Unix seconds; None where there is none."""


class Findings(NamedTuple):
    """What is known of a run."""

    signals: RunSignals
    issues: tuple[TelemetryIssue, ...]


class LogFollower:
    """Follows one log; no method raises on what a file system or a writer can do.

    However the file grows, the findings are those of reading it as it is then. A resumed run goes
    on; a file that was truncated, rotated or replaced is another run, from its beginning.

    Args:
        path: The log; it need not exist.
        open_log: Opens the log of another tool.
        clock: Seconds that only grow.
        read_bytes: Most that one look reads.
    """

    def __init__(
        self,
        path: Path,
        *,
        open_log: Callable[[Path], RunLog] = open_run_log,
        clock: Callable[[], float] = time.monotonic,
        read_bytes: int = READ_BYTES,
    ) -> None:
        self.path = path
        self._file = GrowingFile(path, read_bytes)
        self._open_log = open_log
        self._clock = clock
        self._tail = TelemetryTail()
        self._other: Findings | None = None
        """What the log of another tool says."""
        self._unread = False
        """Whether such a log changed since it was read."""
        self._reason = ""
        """Why nothing is known."""
        self._read_again = -float("inf")
        """When such a log may be read again."""

    def look(self) -> Update:
        """Looks at the file, and reads what is new."""
        seen = self._file.look()
        if seen.change is FileChange.ABSENT:
            return Update(FollowState.GONE if self._is_known() else FollowState.WAITING)
        if seen.change is FileChange.UNREADABLE:
            return Update(FollowState.UNREADABLE, reason=seen.reason)
        restarted = seen.change is FileChange.RESTARTED and self._forget()
        if seen.data:
            self._tail.feed(seen.data)
        if self._tail.is_telemetry():
            self._other, self._unread = None, False
            has_news = bool(seen.data)
        else:
            is_new = seen.change is not FileChange.UNCHANGED
            self._unread = bool(seen.data) if is_new else self._unread
            has_news = not seen.has_more and self._read_other()
        return self._update(seen, has_news=has_news or restarted, restarted=restarted)

    def findings(self, *, whole: bool = False) -> Findings | None:
        """What is known now; None where nothing is.

        Args:
            whole: Whether the file is over, so that its unfinished last line counts too.
        """
        if self._tail.is_telemetry(whole=whole):
            return Findings(self._tail.signals(whole=whole), self._tail.issues(whole=whole))
        return self._other

    def _is_known(self) -> bool:
        return self._other is not None or self._tail.is_telemetry()

    def _forget(self) -> bool:
        """Begins anew; whether anything is lost by it.

        What another tool wrote is kept until its log is read again: some write theirs anew each
        time.
        """
        was_telemetry = self._tail.is_telemetry()
        self._tail, self._reason = TelemetryTail(), ""
        return was_telemetry

    def _read_other(self) -> bool:
        """Reads the log of another tool again where it changed; whether that worked."""
        begun = self._clock()
        if not self._unread or begun < self._read_again:
            return False
        self._unread = False
        try:
            log = self._open_log(self.path)
            signals = run_signals(log.iter_batches())
            self._reason = ""
            if log.kind is LogFileKind.TELEMETRY_V1:  # one record, whose newline is to come
                return False
            self._other = Findings(signals, log.issues)
        except (GradienceError, OSError) as error:
            self._reason = str(error)
            return False
        finally:
            ended = self._clock()
            self._read_again = ended + (ended - begun) / READ_SHARE
        return True

    def _update(self, seen: FileLook, *, has_news: bool, restarted: bool) -> Update:
        known = self._is_known()
        return Update(
            FollowState.FOLLOWED if known else FollowState.WAITING,
            has_news=has_news,
            restarted=restarted,
            reason=seen.reason if restarted else self._reason,
            has_more=seen.has_more,
            modified_s=seen.modified_s,
        )
