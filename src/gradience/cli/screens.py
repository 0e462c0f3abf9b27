"""Where a followed run is shown: a terminal that is redrawn, or lines for a pipe."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import attrs
from rich.console import Console
from rich.live import Live
from rich.text import Text

from gradience.cli.views.folding import one_line
from gradience.cli.views.live import LiveFrame, LiveStatus, alert_line, progress_line, render_live
from gradience.cli.views.sparkline import alphabet_of
from gradience.core.severity import Severity


@attrs.frozen(kw_only=True)
class FollowPolicy:
    """How often is looked, and what is said when nothing comes."""

    look_s: float = 0.25
    """Seconds between two looks at the file, and at least between two pictures."""
    redraw_s: float = 1.0
    """Seconds after which the picture is drawn again though nothing came: its times go on."""
    line_s: float = 30.0
    """Seconds between two lines of numbers where nothing can be redrawn."""
    silent_s: float = 300.0
    """Seconds without a record after which a run counts as silent: longer than most evaluations
    and checkpoints of adapters take (inferred)."""


class Screen(Protocol):
    """Where frames are shown."""

    def show(self, frame: LiveFrame, now: float, *, changed: bool) -> None:
        """Shows a frame; ``changed`` tells whether there is news since the one before."""

    def running(self) -> AbstractContextManager[object]:
        """Holds the screen while frames are shown."""


class RedrawnScreen:
    """A terminal: each frame takes the place of the one before.

    Args:
        target: The console.
        policy: How often at most and at least.
    """

    def __init__(self, target: Console, policy: FollowPolicy) -> None:
        self._console = target
        self._policy = policy
        self._alphabet = alphabet_of(target.encoding)
        self._drawn: float | None = None
        self._live = Live(
            console=target,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def running(self) -> AbstractContextManager[object]:
        """Shows the last frame still when it is left."""
        return self._live

    def show(self, frame: LiveFrame, now: float, *, changed: bool) -> None:
        """Draws where there is news, or the last picture is old."""
        if self._drawn is None or changed or now - self._drawn >= self._policy.redraw_s:
            size = self._console.size
            view = render_live(frame, size.width, size.height, self._alphabet)
            self._live.update(view, refresh=True)
            self._drawn = now


class LineScreen:
    """A pipe or a file: a line for each change of status, each new alert, and now and then.

    Args:
        target: The console.
        policy: How often numbers are printed.
    """

    def __init__(self, target: Console, policy: FollowPolicy) -> None:
        self._console = target
        self._policy = policy
        self._said: tuple[LiveStatus, str] | None = None
        self._alerts: dict[str, Severity] = {}
        self._printed = -float("inf")
        self._step: int | None = None

    def running(self) -> AbstractContextManager[object]:
        """Needs nothing."""
        return nullcontext()

    def show(self, frame: LiveFrame, now: float, *, changed: bool) -> None:
        """Prints what was not said yet."""
        del changed
        step = None if frame.run is None else frame.run.report.run.last_step
        said = (frame.status, frame.note)
        due = now - self._printed >= self._policy.line_s and step != self._step
        if said != self._said or due:
            is_new = self._said is None or frame.note != self._said[1]
            self._said, self._step, self._printed = said, step, now
            self._print(Text(progress_line(frame)))
            if frame.note and is_new:
                self._print(Text(f"  {frame.note}"))
        for alert in frame.news:
            known = self._alerts.get(alert.code)
            if known is None or alert.severity.order > known.order:
                self._alerts[alert.code] = alert.severity
                self._print(Text("  ") + alert_line(alert))

    def _print(self, text: Text) -> None:
        self._console.print(one_line(text), soft_wrap=True)
