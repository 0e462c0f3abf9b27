"""All analyzers of a run, fed by one pass over its events."""

from collections.abc import Iterable
from typing import NamedTuple

from gradience.core.signals.analyzer import combine, fold, latest_run
from gradience.core.signals.batch import Batch
from gradience.core.signals.evals import EvalSignal, latest_evals
from gradience.core.signals.learning_rate import LearningRateSignal, learning_rate_summary
from gradience.core.signals.lineage import LineageSignal, resumed_lineage
from gradience.core.signals.loss import LossSignal, loss_summary
from gradience.core.signals.nonfinite_values import NonfiniteSignal, nonfinite_values
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
    n_runs: int
    """Runs in the stream; the signals are of the last one."""


def run_signals(batches: Iterable[Batch]) -> RunSignals:
    """Feeds a stream of batches to every analyzer, in one pass.

    Args:
        batches: Consecutive batches from the start of the stream; may be empty.

    Returns:
        The signals of the last run.
    """
    analyzer = latest_run(
        combine(
            resumed_lineage(combine(latest_evals(), loss_summary(), learning_rate_summary())),
            nonfinite_values(),
            recorded(),
            run_status(),
            recorder_counts(),
        )
    )
    (numbers, nonfinite, records, run, recorder), n_runs = fold(analyzer, batches)
    (evals, loss, learning_rate), lineage = numbers
    return RunSignals(
        evals, loss, nonfinite, learning_rate, records, run, recorder, lineage, n_runs
    )
