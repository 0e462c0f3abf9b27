"""All analyzers of a run, fed by one pass over its events."""

from collections.abc import Iterable
from typing import NamedTuple

from gradience.core.signals.analyzer import Analyzer, RunState, combine, fold, latest_run, mapped
from gradience.core.signals.batch import Batch
from gradience.core.signals.eval_history import EvalHistory, eval_histories
from gradience.core.signals.evals import EvalSignal, latest_evals
from gradience.core.signals.history import History, training_history
from gradience.core.signals.learning_rate import LearningRateSignal, learning_rate_summary
from gradience.core.signals.lineage import LineageSignal, resumed_lineage
from gradience.core.signals.loss import LossSignal, loss_summary
from gradience.core.signals.nonfinite_values import NonfiniteSignal, nonfinite_values
from gradience.core.signals.objective import ObjectiveSignal, training_objective
from gradience.core.signals.progress import ProgressSignal, training_progress
from gradience.core.signals.recorder_counts import RecorderCounts, recorder_counts
from gradience.core.signals.records import RecordsSignal, recorded
from gradience.core.signals.run_status import RunSignal, run_status


class RunSignals(NamedTuple):
    """What the analyzers found in the last run of a stream.

    Losses, rates and evaluations are of the run's lineage: nothing counts twice after a resume.
    The rest is of every record: what was seen (NaN, alerts) stands.
    """

    evals: EvalSignal
    loss: LossSignal
    nonfinite: NonfiniteSignal
    learning_rate: LearningRateSignal
    records: RecordsSignal
    run: RunSignal
    recorder: RecorderCounts
    lineage: LineageSignal
    history: History
    eval_histories: tuple[EvalHistory, ...]
    objective: ObjectiveSignal
    progress: ProgressSignal
    n_runs: int
    """Runs in the stream; the signals are of the last one."""


RunAnalyzer = Analyzer[RunState[tuple[object, ...]], RunSignals]
"""The analyzer of everything."""

_Numbers = tuple[EvalSignal, LossSignal, LearningRateSignal, History, tuple[EvalHistory, ...]]
_Found = tuple[
    tuple[_Numbers, LineageSignal],
    NonfiniteSignal,
    RecordsSignal,
    RunSignal,
    RecorderCounts,
    tuple[ObjectiveSignal, ProgressSignal],
]


def run_analyzer() -> RunAnalyzer:
    """Every analyzer as one: for a finished file, a growing one and a live run.

    Returns:
        The analyzer; its result is of the last run of the stream.
    """
    numbers = combine(
        latest_evals(),
        loss_summary(),
        learning_rate_summary(),
        training_history(),
        eval_histories(),
    )
    parts = combine(
        resumed_lineage(numbers),
        nonfinite_values(),
        recorded(),
        run_status(),
        recorder_counts(),
        combine(training_objective(), training_progress()),
    )
    return mapped(latest_run(parts), _signals)


def _signals(result: tuple[_Found, int]) -> RunSignals:
    (numbers, nonfinite, records, run, recorder, (objective, progress)), n_runs = result
    (evals, loss, learning_rate, history, histories), lineage = numbers
    return RunSignals(
        evals=evals,
        loss=loss,
        nonfinite=nonfinite,
        learning_rate=learning_rate,
        records=records,
        run=run,
        recorder=recorder,
        lineage=lineage,
        history=history,
        eval_histories=histories,
        objective=objective,
        progress=progress,
        n_runs=n_runs,
    )


def run_signals(batches: Iterable[Batch]) -> RunSignals:
    """Feeds a stream of batches to every analyzer, in one pass.

    Args:
        batches: Consecutive batches from the start of the stream; may be empty.

    Returns:
        The signals of the last run.
    """
    return fold(run_analyzer(), batches)
