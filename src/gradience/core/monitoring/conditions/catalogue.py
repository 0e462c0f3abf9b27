"""Every condition that the monitor looks for, with its policy."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import attrs
import numpy as np

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
from gradience.core.severity import Severity
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


_Finder = Callable[[RunSignals, ConditionPolicies], Iterator[MonitorAlert]]

CONDITIONS: Mapping[str, _Finder] = MappingProxyType(
    {
        "zero_loss": lambda run, all_: find_zero_loss(run, all_.zero_loss),
        "divergence": lambda run, all_: find_divergence(run, all_.divergence),
        "loss_spike": lambda run, all_: find_loss_spike(run, all_.loss_spike),
        "no_learning": lambda run, all_: find_no_learning(run, all_.no_learning),
        "near_zero_train_loss": lambda run, all_: find_near_zero_train_loss(
            run, all_.near_zero_train_loss
        ),
        "grad_norm_outlier": lambda run, all_: find_grad_norm_outlier(run, all_.grad_norm_outlier),
        "extreme_lr": lambda run, all_: find_extreme_lr(run, all_.extreme_lr),
        "lr_discontinuity": lambda run, all_: find_lr_discontinuity(run, all_.lr_discontinuity),
        "overfitting": lambda run, all_: find_overfitting(run, all_.overfitting),
        "unstable_eval": lambda run, all_: find_unstable_eval(run, all_.unstable_eval),
        "throughput_drop": lambda run, all_: find_throughput_drop(run, all_.throughput_drop),
    }
)
"""Code → what finds it, with its own part of the policies."""


def condition_alerts(signals: RunSignals, policies: ConditionPolicies) -> Iterator[MonitorAlert]:
    """Every condition that holds of a run, each once.

    Args:
        signals: What the analyzers found.
        policies: The thresholds.

    Yields:
        The alerts; none for a healthy run. ``condition_failed`` (warning) for a condition whose
        arithmetic failed on this record: the others are judged all the same.
    """
    for code, find in CONDITIONS.items():
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found = tuple(find(signals, policies))
        except (ArithmeticError, ValueError, IndexError) as error:
            yield MonitorAlert(
                severity=Severity.WARNING,
                code="condition_failed",
                message=f"{code} could not be judged of this record ({type(error).__name__}): "
                "please report it with the log",
                context={"condition": code},
            )
        else:
            yield from found
