"""``python -m benchmarks [NAME]``: runs the entries and prints their tables."""

import sys

from benchmarks import (
    base_norms,
    callback_overhead,
    cold_start,
    kill_points,
    large_audit,
    monitoring,
    telemetry,
)

ENTRIES = {
    "cold_start": cold_start.run,
    "large_audit": large_audit.run,
    "base_norms": base_norms.run,
    "telemetry": telemetry.run,
    "monitoring": monitoring.run,
    "callback_overhead": callback_overhead.run,
    "kill_points": kill_points.run,
}


def main() -> None:
    """Runs the named entries, or all."""
    names = sys.argv[1:] or list(ENTRIES)
    unknown = [name for name in names if name not in ENTRIES]
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ENTRIES)}")
    for name in names:
        ENTRIES[name]()


if __name__ == "__main__":
    main()
