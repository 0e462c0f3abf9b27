"""The callback's settings."""

import os

import attrs

from gradience.core.config.snapshot import TaskProfile


@attrs.frozen
class GradienceCallbackConfig:
    """What the callback records, and where; the defaults need no thought."""

    output_dir: str | os.PathLike[str] | None = None
    """Folder of the telemetry file; the Trainer's ``output_dir`` by default."""
    filename: str = "run.jsonl"
    run_id: str | None = None
    """Identifies the run; a random UUID by default."""
    model_name: str | None = None
    """The model's own name by default; of a local path only the last component."""
    dataset_name: str | None = None
    task_profile: TaskProfile | str = TaskProfile.UNKNOWN
    notes: str | None = None
    telemetry_allow_text: bool = False
    """Keeps strings of any length: the explicit opt-in to raw text."""
    max_str_len: int = 256
    """Longer strings become ``[REDACTED len=N]``."""
