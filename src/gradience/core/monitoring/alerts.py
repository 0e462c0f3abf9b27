"""Alerts: what in a run a person should look at. Each is a pure function of the signals."""

from collections.abc import Iterator, Mapping

import attrs
import msgspec

from gradience.core.monitoring.gap import Gap, GapPolicy
from gradience.core.severity import Severity
from gradience.core.signals.nonfinite_values import NonfiniteCount
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.records import GUARD_CODE_PREFIX
from gradience.core.signals.run_status import Outcome, RunSignal

LOSS_IS_FILTERED = (
    "the Trainer's loss filter (logging_nan_inf_filter) then hides NaN losses, so the logged "
    "losses cannot be trusted"
)
"""Said beside mostly non-finite gradients (huggingface/trl#6702)."""


class MonitorAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, with the steps and the numbers behind it."""

    severity: Severity
    code: str
    message: str
    first_step: int | None = None
    last_step: int | None = None
    context: Mapping[str, object] = {}


@attrs.frozen(kw_only=True)
class MonitorPolicy:
    """The thresholds of the monitor."""

    gap: GapPolicy = GapPolicy()
    isolated_nonfinite_grads: int = 1
    """Non-finite gradient norms in a run that are worth no more than an info: an fp16 loss
    scaler skips such a step by design."""
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


def find_alerts(signals: RunSignals, gap: Gap, policy: MonitorPolicy) -> tuple[MonitorAlert, ...]:
    """Every alert of a run, most severe first.

    Args:
        signals: What the analyzers found.
        gap: The perplexity gap, or why there is none.
        policy: The thresholds.

    Returns:
        The alerts; those that stand in the record itself are among them.
    """
    found = [
        *_status(signals.run),
        *_several_runs(signals),
        *_mixed_runs(signals.run),
        *_nonfinite(signals, policy),
        *_gap(gap, policy),
        *_guard(signals),
        *_recorded(signals),
    ]
    return tuple(sorted(found, key=lambda alert: -alert.severity.order))


def _status(run: RunSignal) -> Iterator[MonitorAlert]:
    because = f" ({run.reason})" if run.reason else ""
    at = f" after step {run.last_step}" if run.last_step is not None else ""
    if run.outcome is Outcome.ERROR:
        yield _alert(Severity.ERROR, "run_error", f"the run ended with an error{at}{because}")
    elif run.outcome is Outcome.ABORTED:
        yield _alert(Severity.WARNING, "run_aborted", f"the run was aborted{at}{because}")
    elif run.outcome is Outcome.UNFINISHED:
        message = f"no run_end was written{at}: the run still goes on, or was killed"
        yield _alert(Severity.INFO, "run_unfinished", message)


def _several_runs(signals: RunSignals) -> Iterator[MonitorAlert]:
    if signals.n_runs > 1:
        message = f"the file holds {signals.n_runs} runs; this report is of the last one"
        yield _alert(Severity.INFO, "several_runs", message)


def _mixed_runs(run: RunSignal) -> Iterator[MonitorAlert]:
    if run.foreign_records:
        yield MonitorAlert(
            severity=Severity.WARNING,
            code="mixed_runs",
            message=f"{run.foreign_records} records between this run's carry the id of another "
            "run: several runs wrote into one file, and this report mixes them",
            context={"foreign_records": run.foreign_records, "run_id": run.run_id},
        )


def _nonfinite(signals: RunSignals, policy: MonitorPolicy) -> Iterator[MonitorAlert]:
    counts = signals.nonfinite.counts
    clean_loss = all(count.name != "loss" for count in counts)
    for count in counts:
        if count.name == "loss":
            yield _nonfinite_alert(Severity.ERROR, "nonfinite_loss", "training loss", count)
        elif count.name == "grad_norm":
            yield _nonfinite_grads(count, policy, clean_loss=clean_loss)
        elif count.name.startswith("eval."):
            name = count.name.removeprefix("eval.")
            yield _nonfinite_alert(Severity.WARNING, "nonfinite_eval", f"eval {name}", count)
        else:
            yield _nonfinite_alert(Severity.WARNING, "nonfinite_metric", count.name, count)


def _nonfinite_grads(
    count: NonfiniteCount, policy: MonitorPolicy, *, clean_loss: bool
) -> MonitorAlert:
    isolated = count.count <= policy.isolated_nonfinite_grads
    severity = Severity.INFO if isolated and clean_loss else Severity.WARNING
    if not isolated and count.count >= policy.nonfinite_grad_share * count.logged:
        alert = _nonfinite_alert(Severity.ERROR, "nonfinite_grad_norm", "gradient norm", count)
        context = {
            **alert.context,
            "share_from": policy.nonfinite_grad_share,
            "logged_loss": LOSS_IS_FILTERED,
        }
        return msgspec.structs.replace(alert, context=context)
    return _nonfinite_alert(severity, "nonfinite_grad_norm", "gradient norm", count)


def _nonfinite_alert(
    severity: Severity, code: str, what: str, count: NonfiniteCount
) -> MonitorAlert:
    of = f" of {count.logged}" if count.logged else ""
    times = f"{count.count}{of} logged values"
    where = f", first at step {count.first_step}" if count.first_step is not None else ""
    return MonitorAlert(
        severity=severity,
        code=code,
        message=f"{what}: {times} NaN or infinite{where}",
        first_step=count.first_step,
        last_step=count.last_step,
        context={"count": count.count, "logged": count.logged, "name": count.name},
    )


def _gap(gap: Gap, policy: MonitorPolicy) -> Iterator[MonitorAlert]:
    if gap.value is None:
        message = f"the train/held-out gap cannot be told: {gap.reason}"
        yield _alert(Severity.INFO, "gap_unavailable", message)
    elif gap.value > policy.gap.threshold:
        how = ", training side estimated" if gap.estimated else ""
        yield MonitorAlert(
            severity=Severity.WARNING,
            code="memorization_gap",
            message=f"held-out perplexity ({gap.held_out_split}) is {gap.value:.2f} x the "
            f"training one, above {policy.gap.threshold:g}{how}",
            first_step=gap.held_out_step,
            last_step=gap.held_out_step,
            context={"gap": gap.value, "threshold": policy.gap.threshold, "log_gap": gap.log},
        )


def _guard(signals: RunSignals) -> Iterator[MonitorAlert]:
    guard = signals.records.guard
    if guard.aborted:
        yield MonitorAlert(
            severity=Severity.ERROR,
            code="guard_abort",
            message=f"the guard stopped the run after {guard.n_rollbacks} rollbacks",
            first_step=guard.first_step,
            last_step=guard.last_step,
        )
    elif guard.n_rollbacks or guard.n_triggered:
        yield MonitorAlert(
            severity=Severity.WARNING,
            code="guard_intervention",
            message=f"the guard was triggered {guard.n_triggered} times and rolled back "
            f"{guard.n_rollbacks} times",
            first_step=guard.first_step,
            last_step=guard.last_step,
        )


def _recorded(signals: RunSignals) -> Iterator[MonitorAlert]:
    records = signals.records
    for alert in records.alerts:
        if not alert.code.startswith(GUARD_CODE_PREFIX):
            yield MonitorAlert(
                severity=alert.severity,
                code=alert.code,
                message=alert.message,
                first_step=alert.step,
                last_step=alert.step,
                context=alert.context,
            )
    more = records.n_alerts - len(records.alerts)
    if more:
        yield _alert(Severity.WARNING, "more_alerts", f"{more} further alerts are on record")


def _alert(severity: Severity, code: str, message: str) -> MonitorAlert:
    return MonitorAlert(severity=severity, code=code, message=message)
