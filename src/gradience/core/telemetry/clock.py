"""What the time stamps of a run count from, as its ``run_start`` says."""

CLOCK = "clock"
"""Key in ``run_start.meta``; absent in a recording, whose time stamps are Unix time."""

ELAPSED_CLOCK = "elapsed"
"""Seconds since the run's start: a log of another tool that tells them."""

NO_CLOCK = "none"
"""Nothing: the log tells no time, and every time stamp is 0."""
