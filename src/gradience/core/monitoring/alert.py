"""One alert of the monitor."""

from collections.abc import Mapping

import msgspec

from gradience.core.severity import Severity


class MonitorAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, with the steps and the numbers behind it."""

    severity: Severity
    code: str
    message: str
    first_step: int | None = None
    last_step: int | None = None
    context: Mapping[str, object] = {}
