"""``gradience monitor RUN --follow``: shows a run while its log grows, until it ends."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from gradience.cli.app import EXIT_FINDINGS, EXIT_INTERRUPTED, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.screens import FollowPolicy, LineScreen, RedrawnScreen, Screen
from gradience.cli.views.live import ENDED, Followed, LiveFrame, LiveStatus
from gradience.cli.views.monitor import render_monitor
from gradience.core.errors import TelemetryError
from gradience.core.monitoring.alerts import MonitorPolicy
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.severity import FailOn, Severity
from gradience.core.signals.run_status import Outcome
from gradience.shell.telemetry.follow import Findings, FollowState, LogFollower, Update

SIGNALLED = 128
"""Exit code of a process that a signal ended, less the signal's number."""

RUN_FILE = "run.jsonl"
"""What is waited for in a folder that holds no log yet."""


class Ending(Enum):
    """Why following stopped."""

    ENDED = "ended"
    """The run is over."""
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"


class Followup(NamedTuple):
    """What following a run came to."""

    ending: Ending
    report: MonitorReport | None
    """None where nothing was ever read."""


class RunWatch:
    """Looks at a log again and again, and shows what it finds.

    Args:
        follower: The log.
        screen: Where to show it.
        judge: Makes a report of findings.
        policy: How often to look.
        timeout_s: Seconds without a new record after which to give up; None for never.
        clock: Unix seconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        follower: LogFollower,
        screen: Screen,
        judge: Callable[[Findings], MonitorReport],
        *,
        policy: FollowPolicy | None = None,
        timeout_s: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._follower = follower
        self._screen = screen
        self._judge = judge
        self._policy = policy or FollowPolicy()
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._begun = clock()
        self._grown: float | None = None
        """When the file was last seen to grow, or was written before that."""
        self._run: Followed | None = None
        self._note = ""

    def follow(self) -> Followup:
        """Follows until the run is over, nothing comes for long, or Ctrl-C."""
        try:
            with self._screen.running():
                ending = self._look_on()
        except KeyboardInterrupt:
            ending = Ending.INTERRUPTED
        found = self._follower.findings(whole=True)
        return Followup(ending, None if found is None else self._judge(found))

    def _look_on(self) -> Ending:
        over = False
        while True:
            update = self._follower.look()
            now = self._clock()
            self._take(update, now)
            frame = self._frame(update, now)
            self._screen.show(frame, now, changed=update.has_news and not update.has_more)
            if update.has_more:
                continue
            if over and not update.has_news:
                return Ending.ENDED
            # What a writer still adds to a run that has ended is waited for once.
            over = frame.status in ENDED.values()
            if not over and self._is_late(now):
                return Ending.TIMED_OUT
            self._sleep(self._policy.look_s)

    def _take(self, update: Update, now: float) -> None:
        if update.restarted:
            self._note = f"the file was {update.reason}; it is read from its beginning"
        if not update.has_news:
            return
        first = self._grown is None and update.modified_s is not None
        self._grown = min(now, update.modified_s or now) if first else now
        if not update.has_more:
            found = self._follower.findings()
            self._run = None if found is None else Followed(self._judge(found), found.signals)

    def _frame(self, update: Update, now: float) -> LiveFrame:
        silent_s = None if self._grown is None else max(now - self._grown, 0.0)
        return LiveFrame(
            file=str(self._follower.path),
            status=self._status(update, silent_s),
            run=self._run,
            silent_s=silent_s,
            note=_note(update, self._note),
        )

    def _status(self, update: Update, silent_s: float | None) -> LiveStatus:
        if self._run is None:
            return LiveStatus.READING if update.has_more else LiveStatus.WAITING
        outcome = self._run.report.run.outcome
        if outcome in ENDED:
            return ENDED[outcome]
        if update.state is FollowState.GONE:
            return LiveStatus.GONE
        is_silent = silent_s is not None and silent_s >= self._policy.silent_s
        return LiveStatus.SILENT if is_silent else LiveStatus.RUNNING

    def _is_late(self, now: float) -> bool:
        since = max(self._begun, self._grown or self._begun)
        return self._timeout_s is not None and now - since >= self._timeout_s


def follow_run(
    run: Path,
    *,
    policy: MonitorPolicy,
    strict_schema: bool = False,
    fail_on: FailOn = FailOn.NEVER,
    verbose: bool = False,
    json: bool = False,
    timeout_s: float | None = None,
) -> int:
    """Follows a run and prints its report at the end.

    Args:
        run: The log, or the run's folder; it need not exist yet.
        policy: The thresholds of the report.
        strict_schema: Whether an issue of severity warning ends it with an error.
        fail_on: From which severity on the exit code is 1.
        verbose: Whether the report shows everything.
        json: Whether the report is printed as JSON, and nothing before it.
        timeout_s: Seconds without a new record after which to give up.

    Returns:
        130 after Ctrl-C; 1 where the run was aborted or failed, or by ``fail_on``; else 0.

    Raises:
        TelemetryError: Nothing that can be read came within the timeout, or (strict) the log has
            an issue.
    """
    path = log_of(run)

    def judge(found: Findings) -> MonitorReport:
        if strict_schema:
            _refuse_issues(path, found)
        return monitor_report(str(path), found.signals, found.issues, policy)

    target = console()
    follow_policy = FollowPolicy()
    screen: Screen = LineScreen(target, follow_policy)
    if json:
        screen = LineScreen(Console(file=sys.stderr, highlight=False, markup=False), follow_policy)
    elif target.is_terminal and not target.is_dumb_terminal:
        screen = RedrawnScreen(target, follow_policy)
    watch = RunWatch(LogFollower(path), screen, judge, policy=follow_policy, timeout_s=timeout_s)
    with _sigterm_leaves():
        ending, report = watch.follow()
    if report is not None and json:
        print_json(report)
    elif report is not None:
        target.print()
        render_monitor(report, target, verbose=verbose)
    elif ending is Ending.TIMED_OUT:
        raise TelemetryError(
            f"{path}: expected a run within {timeout_s:g} s, found none. Name the file that "
            "GradienceCallback() writes (by default <output_dir>/run.jsonl)."
        )
    return exit_code(ending, report, fail_on)


def exit_code(ending: Ending, report: MonitorReport | None, fail_on: FailOn) -> int:
    """130 after Ctrl-C; 1 for a run that ended badly, or by ``fail_on``; else 0."""
    if ending is Ending.INTERRUPTED:
        return EXIT_INTERRUPTED
    failed = report is not None and report.run.outcome in (Outcome.ABORTED, Outcome.ERROR)
    found = report is not None and fail_on.triggered_by(report.severities)
    return EXIT_FINDINGS if failed or found else EXIT_OK


def log_of(run: Path) -> Path:
    """The log to follow: that of a folder's run, or the one that will stand in it."""
    if not run.is_dir():
        return run
    from gradience.shell.telemetry.run_folder import log_in_folder

    try:
        return log_in_folder(run)
    except TelemetryError:
        return run / RUN_FILE


@contextmanager
def _sigterm_leaves() -> Iterator[None]:
    """Lets SIGTERM leave the block as an exception does, so that the terminal gets its cursor."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(SIGNALLED + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _note(update: Update, kept: str) -> str:
    if update.state is FollowState.GONE:
        return "the file is gone; waiting for it to come back"
    if update.state is FollowState.UNREADABLE:
        return f"the file cannot be read: {update.reason}"
    if update.restarted:
        return kept
    if update.state is FollowState.WAITING and update.modified_s is None:
        return "waiting for the file"
    if update.state is FollowState.WAITING:
        return f"waiting for a record: {update.reason}" if update.reason else "waiting for a record"
    return kept


def _refuse_issues(path: Path, found: Findings) -> None:
    for issue in found.issues:
        if issue.severity.at_least(Severity.WARNING):
            raise TelemetryError(
                f"{path}:{issue.line}: {issue.message}. Leave out --strict-schema to read the "
                "rest of the file and list this as an issue."
            )
