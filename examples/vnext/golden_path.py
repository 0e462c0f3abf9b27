"""The golden path: what ``gradience demo`` does, into ./outputs.

Leaves outputs/run.jsonl, outputs/adapter/, outputs/base/ and outputs/training/, and prints what
check, monitor and audit make of them. Needs no network and no GPU.
"""

import sys
from pathlib import Path

from gradience.cli.demo import demo_command

if __name__ == "__main__":
    sys.exit(demo_command(out=Path("outputs")))
