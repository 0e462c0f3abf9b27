"""Where a followed run is shown."""

import io

from rich.console import Console

from gradience.cli.screens import FollowPolicy, RedrawnScreen
from gradience.cli.views.live import LiveFrame, LiveStatus


def terminal(width: int = 80) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(
        file=output, width=width, height=24, force_terminal=True, color_system=None
    ), output


def frame(status: LiveStatus = LiveStatus.RUNNING, note: str = "") -> LiveFrame:
    return LiveFrame(file="run.jsonl", status=status, note=note)


def test_a_terminal_is_drawn_anew_for_news_and_each_second() -> None:
    target, output = terminal()
    screen = RedrawnScreen(target, FollowPolicy(redraw_s=1.0))
    drawn = []
    with screen.running():
        for now, changed in ((0.0, False), (0.5, False), (0.6, True), (1.5, False), (1.7, False)):
            before = output.tell()
            screen.show(frame(), now, changed=changed)
            drawn.append(output.tell() > before)
    assert drawn == [True, False, True, False, True]


def test_the_last_picture_stays() -> None:
    target, output = terminal()
    screen = RedrawnScreen(target, FollowPolicy())
    with screen.running():
        screen.show(frame(), 0.0, changed=True)
        screen.show(frame(LiveStatus.OK), 1.0, changed=True)
    assert "run ok" in output.getvalue().rsplit("gradience monitor", 1)[1]
