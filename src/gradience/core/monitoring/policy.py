"""The thresholds of the monitor."""

import attrs

from gradience.core.monitoring.conditions.catalogue import ConditionPolicies
from gradience.core.monitoring.gap import GapPolicy


@attrs.frozen(kw_only=True)
class MonitorPolicy:
    """The thresholds of the monitor."""

    gap: GapPolicy = GapPolicy()
    conditions: ConditionPolicies = ConditionPolicies()
    isolated_nonfinite_grads: int = 1
    """Non-finite gradient norms in a run that are worth no more than an info: an fp16 loss
    scaler skips such a step by design."""
    isolated_nonfinite_share: float = 0.01
    """The same as a share of the logged norms, where that is more: the scaler tries a larger scale
    every 2000 steps (``growth_interval`` of torch.amp.GradScaler), and each try may cost a row."""
    scaler_rows: int = 5
    """First logged rows whose norms an fp16 run may lose while the scaler, which begins at 65536,
    halves its scale down to one that fits (inferred): an info, where all later ones are finite …"""
    scaler_rows_of: int = 20
    """… and the record has so many norms."""
    nonfinite_grad_share: float = 0.5
    """Share of the logged gradient norms from which on non-finite ones (more than the isolated)
    are an error. The Trainer replaces a non-finite loss by a running mean in its logs while it
    goes on training (huggingface/trl#6702), and a job whose adapter was all NaN counted as a
    success (getainode/ainode#186); the edge of one half is inferred."""
    memorization_confidence: float = 0.6
    """Of the advice on memorisation where the gap is exact (inferred: no published threshold of
    the gap is known)."""
    memorization_confidence_estimated: float = 0.4
    """The same where the training side is an estimate (inferred)."""
    evaluate_confidence: float = 0.9
    """Of the advice to evaluate at all (inferred: no one advises against it)."""
    compress_confidence: float = 0.4
    """Of the advice to cut the rank: one published series of truncations, of one model and task
    (the PEFT package's LoRA conversion figures), carries it."""
    compress_factor: float = 2.0
    """An audited rank is worth reducing where the suggested one is this many times smaller
    (inferred: below that, the saving is within one step of the allowed ranks)."""
    low_utilization: float = 0.25
    """Stable rank over that of noise of the same shape below which few directions carry the
    updates (inferred: the trained adapters of our tests lie between 0.14 and 0.62, noise at 1)."""
    low_utilization_confidence: float = 0.3
    """Of that advice (inferred: no published result ties it to accuracy)."""
