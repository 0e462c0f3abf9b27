"""Every condition that the monitor looks for, with its policy."""

from collections.abc import Iterator

import attrs

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.divergence import DivergencePolicy, find_divergence
from gradience.core.monitoring.conditions.extreme_lr import ExtremeLrPolicy, find_extreme_lr
from gradience.core.monitoring.conditions.grad_norm_outlier import (
    GradNormOutlierPolicy,
    find_grad_norm_outlier,
)
from gradience.core.monitoring.conditions.loss_spike import LossSpikePolicy, find_loss_spike
from gradience.core.monitoring.conditions.lr_discontinuity import (
    LrDiscontinuityPolicy,
    find_lr_discontinuity,
)
from gradience.core.monitoring.conditions.near_zero_train_loss import (
    NearZeroTrainLossPolicy,
    find_near_zero_train_loss,
)
from gradience.core.monitoring.conditions.no_learning import NoLearningPolicy, find_no_learning
from gradience.core.monitoring.conditions.overfitting import OverfittingPolicy, find_overfitting
from gradience.core.monitoring.conditions.throughput_drop import (
    ThroughputDropPolicy,
    find_throughput_drop,
)
from gradience.core.monitoring.conditions.unstable_eval import (
    UnstableEvalPolicy,
    find_unstable_eval,
)
from gradience.core.monitoring.conditions.zero_loss import ZeroLossPolicy, find_zero_loss
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class ConditionPolicies:
    """The thresholds of every condition."""

    zero_loss: ZeroLossPolicy = ZeroLossPolicy()
    divergence: DivergencePolicy = DivergencePolicy()
    loss_spike: LossSpikePolicy = LossSpikePolicy()
    no_learning: NoLearningPolicy = NoLearningPolicy()
    near_zero_train_loss: NearZeroTrainLossPolicy = NearZeroTrainLossPolicy()
    grad_norm_outlier: GradNormOutlierPolicy = GradNormOutlierPolicy()
    extreme_lr: ExtremeLrPolicy = ExtremeLrPolicy()
    lr_discontinuity: LrDiscontinuityPolicy = LrDiscontinuityPolicy()
    overfitting: OverfittingPolicy = OverfittingPolicy()
    unstable_eval: UnstableEvalPolicy = UnstableEvalPolicy()
    throughput_drop: ThroughputDropPolicy = ThroughputDropPolicy()


def condition_alerts(signals: RunSignals, policies: ConditionPolicies) -> Iterator[MonitorAlert]:
    """Every condition that holds of a run, each once.

    Args:
        signals: What the analyzers found.
        policies: The thresholds.

    Yields:
        The alerts; none for a healthy run.
    """
    yield from find_zero_loss(signals, policies.zero_loss)
    yield from find_divergence(signals, policies.divergence)
    yield from find_loss_spike(signals, policies.loss_spike)
    yield from find_no_learning(signals, policies.no_learning)
    yield from find_near_zero_train_loss(signals, policies.near_zero_train_loss)
    yield from find_grad_norm_outlier(signals, policies.grad_norm_outlier)
    yield from find_extreme_lr(signals, policies.extreme_lr)
    yield from find_lr_discontinuity(signals, policies.lr_discontinuity)
    yield from find_overfitting(signals, policies.overfitting)
    yield from find_unstable_eval(signals, policies.unstable_eval)
    yield from find_throughput_drop(signals, policies.throughput_drop)
