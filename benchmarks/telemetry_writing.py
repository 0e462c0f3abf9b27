"""Logs COUNT training steps to FILE (``python telemetry_writing.py FILE COUNT``).

A program of its own, so that the memory of a whole process can be watched.
"""

import sys

from gradience.vnext.telemetry import TelemetryWriter


def main(path: str, count: int) -> None:
    """Writes the steps."""
    with TelemetryWriter(path) as writer:
        writer.run_start({})
        for step in range(count):
            writer.train_step(
                step, loss=1.0 / (step + 1), lr=1e-4, grad_norm=0.5, epoch=step / count, tokens=step
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
