"""How much a finding, an alert or a recommendation matters."""

from enum import Enum


class Severity(Enum):
    """Four levels, ordered from what is good to know to what must stop the work."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def order(self) -> int:
        """Position in the order of the levels, 0 for ``info`` to 3 for ``critical``."""
        return list(Severity).index(self)

    def at_least(self, other: "Severity") -> bool:
        """Whether this level is as severe as ``other`` or more."""
        return self.order >= other.order


class FailOn(Enum):
    """From which severity on a command exits with 1; ``never`` switches that off."""

    NEVER = "never"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def triggered_by(self, severities: "tuple[Severity, ...]") -> bool:
        """Whether any of ``severities`` reaches this level (never, for ``never`` or for none)."""
        if self is FailOn.NEVER:
            return False
        level = Severity(self.value)
        return any(severity.at_least(level) for severity in severities)
