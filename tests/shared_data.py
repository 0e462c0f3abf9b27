"""Where the real adapters and logs are, and how a test skips without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real files of other projects, beside the checkout; not part of the repository."""

needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the real adapters and logs are not at {SHARED}"
)
"""Skips a test where the real files are not at hand."""

DATA = Path(__file__).resolve().parent / "data"
"""The few real files that ship with the tests; each folder's SOURCE.txt names its origin."""
