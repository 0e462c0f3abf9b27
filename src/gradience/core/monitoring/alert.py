"""One alert of the monitor."""

from collections.abc import Mapping

import msgspec

from gradience.core.severity import Severity


class AlertSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Points to plot: the quantity that an alert is about, over the steps around it."""

    name: str
    """``loss``, ``grad_norm``, ``lr``, ``eval_loss`` …"""
    step: tuple[int | None, ...]
    value: tuple[float | None, ...]
    """None where the value is not finite."""


class MonitorAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, with the steps, the numbers and the points behind it."""

    severity: Severity
    code: str
    message: str
    first_step: int | None = None
    last_step: int | None = None
    context: Mapping[str, object] = {}
    series: tuple[AlertSeries, ...] = ()
    source: str = ""
    """Where the threshold comes from."""
