"""Analyzers are folded, combined and restricted to the last run."""

from gradience.core.signals.analyzer import MAX_RUNS_KEPT, Analyzer, combine, fold, latest_run
from gradience.core.signals.batch import Batch
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, run_start, train_step


def _counted(count: int, found: Batch) -> int:
    return count + found.step.size


def _same(count: int) -> int:
    return count


COUNT = Analyzer(int, _counted, _same)


def test_folding_nothing_gives_the_result_of_the_first_state() -> None:
    assert fold(COUNT, []) == 0


def test_folding_feeds_every_batch() -> None:
    assert fold(COUNT, [batch(train_step()), batch(train_step(), train_step())]) == 3


def test_combined_analyzers_keep_their_results_apart() -> None:
    doubled = Analyzer(int, _counted, lambda count: f"{2 * count}")
    assert fold(combine(COUNT, doubled), [batch(train_step())]) == (1, "2")


def test_only_the_last_run_is_analysed_and_runs_are_counted() -> None:
    stream = batch(
        run_start("a"), train_step(), train_step(), run_start("b"), train_step(), train_step()
    )
    assert fold(latest_run(COUNT), [stream]) == (2, 2)


def test_a_start_with_the_same_id_continues_the_run() -> None:
    stream = batch(run_start("a"), train_step(), run_start("a"), train_step())
    assert fold(latest_run(COUNT), [stream]) == (2, 1)


def test_a_start_whose_id_was_seen_before_continues_that_run() -> None:
    stream = batch(
        run_start("a"), train_step(), run_start("b"), train_step(), run_start("a"), train_step()
    )
    assert fold(latest_run(COUNT), [stream]) == (2, 2)
    assert fold(latest_run(COUNT), [stream.slice(0, 3), stream.slice(3, 6)]) == (2, 2)


def test_a_run_left_too_long_ago_is_forgotten() -> None:
    first: list[AnyEvent] = [run_start("a"), train_step()]
    others = [run_start(str(i)) for i in range(MAX_RUNS_KEPT + 1)]
    kept = fold(latest_run(COUNT), [batch(*first, *others[1:], *first)])
    assert kept == (2, MAX_RUNS_KEPT + 1)
    assert fold(latest_run(COUNT), [batch(*first, *others, *first)])[0] == 1


def test_what_stands_before_the_first_start_belongs_to_the_first_run() -> None:
    assert fold(latest_run(COUNT), [batch(train_step(), run_start("a"), train_step())]) == (2, 1)


def test_a_stream_without_a_start_has_no_run_and_is_analysed() -> None:
    assert fold(latest_run(COUNT), [batch(train_step())]) == (1, 0)
