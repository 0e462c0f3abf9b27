"""The callback's settings."""

import math
import os

import attrs

from gradience.core.config.snapshot import TaskProfile
from gradience.core.errors import ConfigError
from gradience.core.guard.policy import GuardPolicy
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import Severity
from gradience.shell.trainer.live_alerts import AlertHook


def _task_profile(value: TaskProfile | str) -> TaskProfile:
    try:
        return TaskProfile(value)
    except ValueError:
        allowed = ", ".join(profile.value for profile in TaskProfile)
        raise ConfigError(f"task_profile: expected one of {allowed}, found {value!r}") from None


def _seconds(value: float | None) -> float | None:
    if value is None or (math.isfinite(value) and value >= 0):
        return value
    raise ConfigError(f"fsync_s: expected None or seconds from 0 on, found {value!r}")


def _steps(value: int | None) -> int | None:
    if value is None or value >= 1:
        return value
    raise ConfigError(
        f"spectra_every: expected None or a number of steps from 1 on, found {value!r}"
    )


def _logged_steps(value: int) -> int:
    if value >= 1:
        return value
    raise ConfigError(f"alert_every: expected a number of steps from 1 on, found {value!r}")


def _severity(value: Severity | str) -> Severity:
    try:
        return Severity(value)
    except ValueError:
        allowed = ", ".join(severity.value for severity in Severity)
        raise ConfigError(
            f"alert_min_severity: expected one of {allowed}, found {value!r}"
        ) from None


@attrs.frozen
class GradienceCallbackConfig:
    """What the callback records, and where; the defaults need no thought.

    Raises:
        ConfigError: On construction, where a value is none of those that its field takes.
    """

    output_dir: str | os.PathLike[str] | None = None
    """Folder of the telemetry file; the Trainer's ``output_dir`` by default."""
    filename: str = "run.jsonl"
    run_id: str | None = None
    """Identifies the run; a random UUID by default. A training under the id of the file's last run
    continues that run."""
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
    fsync_s: float | None = attrs.field(default=None, converter=_seconds)
    """None leaves it to the system when events reach the disk; 0 waits for the disk after every
    event, N at most once in N seconds and on closing."""
    per_rank_files: bool = False
    """Whether each further process of a distributed run writes the alerts and metrics of its own
    (non-finite gradients, the guard) to ``run.rank<k>.jsonl`` beside the file of rank zero."""
    watch_gradients: bool = True
    """Whether the gradients and weights of every optimizer step are looked at, in one device
    synchronisation: the Trainer hides NaN losses from its logs."""
    spectra_every: int | None = attrs.field(default=None, converter=_steps)
    """Optimizer steps between two looks at the adapter's singular values; None for never."""
    enable_guard: bool = False
    """Whether bad steps are dropped and bad weights rolled back (experimental)."""
    guard_snapshot_every: int = GuardPolicy().snapshot_every
    """Steps between two snapshots of trainable weights and optimizer state."""
    guard_ring_size: int = GuardPolicy().ring_size
    """Snapshots that are kept, on the CPU."""
    guard_grad_threshold: float = GuardPolicy().grad_threshold
    """Gradient norm, before clipping, above which a step is not trusted."""
    guard_cooldown_steps: int = GuardPolicy().cooldown_steps
    """Steps after a rollback in which there is no other."""
    guard_max_rollbacks: int = GuardPolicy().max_rollbacks
    """Rollbacks within the window before training is stopped."""
    guard_window_steps: int = GuardPolicy().window_steps
    """The window, in steps."""
    guard_steps_back: int = GuardPolicy().steps_back
    """Which healthy snapshot is gone back to: 1 is the newest."""
    guard_prune_newer_on_rollback: bool = GuardPolicy().prune_newer_on_rollback
    """Whether snapshots newer than the restored one are forgotten."""
    guard_patience: int = GuardPolicy().patience
    """Bad steps in a row, each dropped, before weights are rolled back; 1 for the first."""
    on_alert: AlertHook | None = None
    """Called while training with each alert of the monitor that is new, or more severe than it
    was; the alert is put on record too. On world rank zero alone. It may return
    ``HookReply.STOP`` to end the training, which is done where one process trains alone. What it
    raises is logged once and counted. A resumed run is judged by its records since the resume."""
    alert_every: int = attrs.field(default=10, converter=_logged_steps)
    """Logged steps between two judgements for ``on_alert``; evaluations are judged at once."""
    alert_min_severity: Severity = attrs.field(default=Severity.WARNING, converter=_severity)
    """The least severity that ``on_alert`` is told of, or its name."""
    alert_policy: MonitorPolicy | None = None
    """The thresholds of these alerts; those of ``gradience monitor`` by default."""

    def __attrs_post_init__(self) -> None:
        self.guard_policy()

    def guard_policy(self) -> GuardPolicy:
        """The guard's options as its policy.

        Raises:
            ConfigError: An option is out of its range.
        """
        return GuardPolicy(
            snapshot_every=self.guard_snapshot_every,
            ring_size=self.guard_ring_size,
            grad_threshold=self.guard_grad_threshold,
            cooldown_steps=self.guard_cooldown_steps,
            max_rollbacks=self.guard_max_rollbacks,
            window_steps=self.guard_window_steps,
            steps_back=self.guard_steps_back,
            prune_newer_on_rollback=self.guard_prune_newer_on_rollback,
            patience=self.guard_patience,
        )
