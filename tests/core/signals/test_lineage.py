"""After a resume, no training step and no evaluation counts twice."""

import math

import pytest

from gradience.core.signals import lineage as module
from gradience.core.signals.analyzer import combine, fold
from gradience.core.signals.batch import build_batch
from gradience.core.signals.evals import EvalSignal, latest_evals
from gradience.core.signals.lineage import LineageSignal, resumed_lineage
from gradience.core.signals.loss import LossSignal, loss_summary
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, resume, run_start, train_step


def steps(first: int, last: int, loss: float) -> list[AnyEvent]:
    return [train_step(step, loss=loss) for step in range(first, last + 1)]


def signals(*events: AnyEvent) -> tuple[LossSignal, EvalSignal, LineageSignal]:
    analyzer = resumed_lineage(combine(loss_summary(), latest_evals()))
    (loss, evals), found = fold(analyzer, [batch(*events)])
    return loss, evals, found


def test_without_a_resume_nothing_is_taken_out() -> None:
    events = [run_start(), *steps(1, 3, 2.0), evaluation("test", 3), run_start(), *steps(1, 3, 2.0)]
    loss, evals, found = signals(*events)
    assert (loss.n, evals.n_evals, found) == (6, 1, LineageSignal())


def test_the_numbers_are_those_of_the_resumed_lineage() -> None:
    diverged = [*steps(1, 4, 2.0), *steps(5, 8, 1e9), evaluation("test", 8, loss=99.0)]
    again = [*steps(5, 10, 1.0), evaluation("test", 8, loss=1.5)]
    loss, evals, found = signals(run_start(), *diverged, resume(4), *again)
    alone, _, _ = signals(*steps(1, 4, 2.0), *steps(5, 10, 1.0))
    assert loss == alone
    assert (loss.max, loss.n) == (2.0, 10)
    assert (evals.n_evals, evals.splits[0].metrics) == (1, {"loss": 1.5})
    assert found == LineageSignal(superseded=5)


def test_what_the_resume_supersedes_is_gone_before_it_comes_again() -> None:
    loss, evals, _ = signals(*steps(1, 8, 2.0), evaluation("test", 8, loss=9.0), resume(4))
    assert (loss.n, loss.last_step, evals.splits) == (4, 4, ())


def test_an_evaluation_at_the_checkpoint_stays_and_is_not_repeated() -> None:
    before = [*steps(1, 4, 2.0), evaluation("test", 4, loss=3.0)]
    on_start = [evaluation("test", 4, loss=4.0), evaluation("other", 5, loss=4.0)]
    _, evals, found = signals(*before, resume(4), *on_start)
    assert [(entry.split, entry.metrics["loss"]) for entry in evals.splits] == [
        ("test", 3.0),
        ("other", 4.0),
    ]
    assert found == LineageSignal(left_out=1)


def test_the_first_evaluation_at_the_checkpoint_may_come_after_the_resume() -> None:
    _, evals, _ = signals(*steps(1, 4, 2.0), resume(4), evaluation("test", 4, loss=4.0))
    assert evals.n_evals == 1


def test_resumes_add_up() -> None:
    events = [*steps(1, 6, 3.0), resume(4), *steps(5, 6, 2.0), resume(2), *steps(3, 6, 1.0)]
    loss, _, found = signals(*events)
    assert (loss.n, loss.mean) == (6, (2 * 3.0 + 4 * 1.0) / 6)
    assert found == LineageSignal(superseded=2 + 4)


def test_records_without_a_step_are_never_repeats() -> None:
    bare = train_step(None, loss=5.0)
    loss, _, _ = signals(*steps(1, 3, 2.0), bare, resume(2), bare, *steps(3, 3, 2.0))
    assert loss.n == 5


@pytest.mark.parametrize("resumed_from", [0, 7, 2**63 - 2])
def test_a_resume_from_any_step_is_fine(resumed_from: int) -> None:
    loss, _, _ = signals(*steps(1, 3, 2.0), resume(resumed_from))
    assert loss.n == (0 if resumed_from == 0 else 3)


def test_beyond_the_horizon_the_first_record_of_a_step_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HORIZON", 2)
    # At the resume, steps 1 to 6 are settled, 7 and 8 wait and are taken back.
    loss, _, found = signals(*steps(1, 8, 2.0), resume(4), *steps(5, 9, 1.0))
    assert loss.n == 9
    assert loss.mean == pytest.approx((6 * 2.0 + 3 * 1.0) / 9)
    assert found == LineageSignal(superseded=2, left_out=2, resumes_beyond_horizon=1)


def test_the_real_horizon_takes_back_thousands_of_steps() -> None:
    loss, _, found = signals(*steps(1, 6000, 2.0), resume(2000), *steps(2001, 6000, 1.0))
    assert (loss.n, loss.mean) == (6000, (2000 * 2.0 + 4000 * 1.0) / 6000)
    assert found == LineageSignal(superseded=4000)


def test_a_nan_in_the_repeated_steps_does_not_count_as_a_loss() -> None:
    loss, _, _ = signals(*steps(1, 2, 2.0), resume(1), train_step(2, loss=math.nan))
    assert (loss.n, loss.last_step) == (1, 1)


def test_few_batches_wait_however_small_those_that_come_are() -> None:
    analyzer = resumed_lineage(loss_summary())
    state = analyzer.init()
    for place in range(300):
        state = analyzer.update(state, build_batch([train_step(place, loss=1.0)], place))
    assert [part.stop - part.start for part in state.pending] == [256, 32, 8, 4]


def test_batches_that_are_long_enough_wait_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_JOINED", 4)
    analyzer = resumed_lineage(loss_summary())
    state = analyzer.init()
    for start in (0, 3, 6):
        events = [train_step(start + ahead, loss=1.0) for ahead in range(3)]
        state = analyzer.update(state, build_batch(events, start))
    assert [part.stop - part.start for part in state.pending] == [3, 3, 3]
