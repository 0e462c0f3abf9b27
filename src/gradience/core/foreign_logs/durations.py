"""Durations as tools write them for people, in seconds."""

import functools
import re

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60

_CLOCK = re.compile(r"(?:(-?\d{1,9}) days?, )?(\d{1,9}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")
"""Python's ``str(timedelta)``: ``2:03:04``, ``1 day, 2:03:04``."""

_UNITS = re.compile(r"(?=.)(?:(\d{1,9})d ?)?(?:(\d{1,9})h ?)?(?:(\d{1,9})m ?)?(?:(\d{1,9})s)?")
"""ms-swift's ``1d 2h 3m 4s``, leading units left out."""


def seconds(text: object) -> float | None:
    """The seconds of a written duration.

    Args:
        text: ``"h:mm:ss"``, ``"1 day, 2:03:04"``, ``"1d 2h 3m 4s"``, or anything.

    Returns:
        Seconds; None where ``text`` is no such duration.
    """
    return _seconds(text) if isinstance(text, str) else None


@functools.lru_cache(maxsize=16)
def _seconds(text: str) -> float | None:
    found = _CLOCK.fullmatch(text) or _UNITS.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return days * DAY_S + hours * HOUR_S + minutes * MINUTE_S + rest
