"""Every threshold of the guard."""

import math

import attrs

from gradience.core.errors import ConfigError

_AT_LEAST = {
    "snapshot_every": 1,
    "ring_size": 1,
    "cooldown_steps": 0,
    "max_rollbacks": 0,
    "window_steps": 1,
    "steps_back": 1,
    "patience": 1,
    "patience_with_scaler": 1,
    "settle_steps": 0,
}
"""Whole-number options, and the least that each may be."""


@attrs.frozen(kw_only=True)
class GuardPolicy:
    """When the guard takes snapshots, what sets it off, and how often it may go back.

    Raises:
        ConfigError: On construction, where an option is out of its range.
    """

    snapshot_every: int = 100
    """Optimizer steps between two snapshots (source: the contract)."""
    ring_size: int = 5
    """Snapshots kept; the oldest makes room for the newest (the contract)."""
    grad_threshold: float = 100.0
    """A gradient norm, before clipping, above this is an explosion (the contract). It suits losses
    averaged over tokens, whose norms are around 1; a model whose norm is usually larger needs a
    higher one, and infinity switches this trigger off."""
    cooldown_steps: int = 20
    """Steps after the step of a rollback in which none follows (the contract)."""
    max_rollbacks: int = 3
    """Rollbacks in any ``window_steps`` steps; where one more is due the guard aborts (the
    contract). 0 aborts in place of the first."""
    window_steps: int = 200
    """Length of the window of ``max_rollbacks``, in steps (the contract)."""
    steps_back: int = 1
    """Which snapshot a rollback restores: 1 the newest healthy one, 2 the one before it, and so
    on; the oldest where there are fewer (the contract)."""
    prune_newer_on_rollback: bool = True
    """Whether a rollback discards the snapshots newer than the restored one (the contract)."""
    patience: int = 3
    """Untrusted steps in a row at which the guard goes back; those before it are only dropped
    (inferred: one bad batch is one dropped step, gradients of three batches in a row are bad
    because of the weights, or there is nothing to learn from). 1 goes back at once."""
    patience_with_scaler: int = 17
    """The same for non-finite gradients under an AMP loss scaler, which skips such steps by
    design: it starts at 2**16 and halves (the defaults of torch.amp.GradScaler), so after 17 in
    a row its scale is below 1 and no longer explains an overflow."""

    settle_steps: int = 10
    """Steps after an untrusted one in which no snapshot is taken (inferred: weights that have
    diverged can give a harmless gradient now and then, and a snapshot of them must not take the
    place of a healthy one)."""

    def __attrs_post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"guard {name}: expected a whole number of at least {least}, found {value!r}"
                )
        if math.isnan(self.grad_threshold) or self.grad_threshold <= 0:
            raise ConfigError(
                f"guard grad_threshold: expected a number above 0, found {self.grad_threshold!r}; "
                "float('inf') switches the trigger off"
            )
