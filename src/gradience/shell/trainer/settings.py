"""The callback's settings."""

import os

import attrs

from gradience.core.config.snapshot import TaskProfile
from gradience.core.errors import ConfigError


def _task_profile(value: TaskProfile | str) -> TaskProfile:
    try:
        return TaskProfile(value)
    except ValueError:
        allowed = ", ".join(profile.value for profile in TaskProfile)
        raise ConfigError(f"task_profile: expected one of {allowed}, found {value!r}") from None


@attrs.frozen
class GradienceCallbackConfig:
    """What the callback records, and where; the defaults need no thought.

    Raises:
        ConfigError: On construction, where ``task_profile`` is none of the four.
    """

    output_dir: str | os.PathLike[str] | None = None
    """Folder of the telemetry file; the Trainer's ``output_dir`` by default."""
    filename: str = "run.jsonl"
    run_id: str | None = None
    """Identifies the run; a random UUID by default."""
    model_name: str | None = None
    """The model's own name by default; of a local path only the last component."""
    dataset_name: str | None = None
    task_profile: TaskProfile = attrs.field(default=TaskProfile.UNKNOWN, converter=_task_profile)
    """One of the four task profiles, or its name."""
    notes: str | None = None
    telemetry_allow_text: bool = False
    """Keeps strings of any length: the explicit opt-in to raw text."""
    max_str_len: int = 256
    """Longer strings become ``[REDACTED len=N]``."""
