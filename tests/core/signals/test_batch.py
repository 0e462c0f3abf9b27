"""A batch: the hot fields of the training steps as columns, the rest placed among them."""

import math

import msgspec
import numpy as np

from gradience.core.signals.batch import NO_STEP, PlacedEvent, build_batch, concatenate
from gradience.core.telemetry.decode import decode_block
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, line, run_start, train_step


def test_columns_have_one_row_per_training_step() -> None:
    found = batch(run_start(), train_step(1, loss=2.0), train_step(None))
    assert found.position.tolist() == [1, 2]
    assert found.step.tolist() == [1, NO_STEP]
    assert repr(found.loss.values.tolist()) == "[2.0, nan]"


def test_a_logged_nan_differs_from_a_missing_value() -> None:
    loss = batch(train_step(loss=math.nan), train_step(), train_step(loss=1.0)).loss
    assert loss.logged.tolist() == [True, False, True]
    assert loss.nonfinite().tolist() == [True, False, False]
    assert loss.finite().tolist() == [False, False, True]


def test_the_rate_is_the_largest_over_the_groups() -> None:
    found = batch(train_step(lr=(1.0, 3.0)), train_step(lr=0.5), train_step(lr=()))
    assert repr(found.lr.values.tolist()) == "[3.0, 0.5, nan]"
    assert found.lr.logged.tolist() == [True, True, False]


def test_a_nan_among_the_groups_is_seen_in_any_order() -> None:
    found = batch(train_step(lr=(math.nan, 1.0)), train_step(lr=(1.0, math.nan)))
    assert np.isnan(found.lr.values).all()


def test_other_events_keep_their_place() -> None:
    start, held_out = run_start("a"), evaluation("test")
    found = build_batch([start, train_step(), held_out], start=10)
    assert found.others == (PlacedEvent(10, start), PlacedEvent(12, held_out))
    assert found.run_starts() == ((10, "a"),)


def test_a_slice_is_the_batch_of_the_slice() -> None:
    events: list[AnyEvent] = [run_start(), train_step(1), evaluation("test"), train_step(2)]
    part = build_batch(events).slice(1, 3)
    assert repr(part) == repr(build_batch(events[1:3], 1))


def test_a_slice_stays_within_the_batch() -> None:
    part = build_batch([train_step()], start=5).slice(0, 100)
    assert (part.start, part.stop, part.step.tolist()) == (5, 6, [1])


def test_a_selection_is_the_batch_of_the_selected_events_in_their_places() -> None:
    events: list[AnyEvent] = [run_start(), train_step(1, loss=1.0), evaluation("t"), train_step(2)]
    part = batch(*events).select(np.array([False, True]), ())
    assert (part.start, part.stop, part.position.tolist(), part.others) == (0, 4, [3], ())
    assert (part.step.tolist(), part.train_steps) == ([2], (events[3],))
    assert repr(part.loss.values.tolist()) == "[nan]"


def test_steps_with_extras_are_found_at_their_place() -> None:
    noted = train_step(2, extras={"kl": 1.0})
    found = batch(run_start(), train_step(1), noted).steps_with_extras()
    assert [*found] == [(2, noted)]


def test_extras_are_placed_and_named() -> None:
    found = batch(run_start(), train_step(1), train_step(2, extras={"kl": 1.0, "note": "x"}))
    assert [*found.placed_extras()] == [(2, 2, {"kl": 1.0, "note": "x"})]
    assert found.extra_names == {"kl", "note"}
    assert batch(train_step(1)).extra_names == frozenset()


def test_rows_that_the_columns_say_whole_are_not_kept() -> None:
    plain = line("train_step", loss=1.0) + b"\n"
    groups = line("train_step", lr=[1.0, 2.0]) + b"\n"
    assert build_batch(decode_block(plain * 2, 1).rows).rows is None
    kept = build_batch(decode_block(plain + groups, 1).rows)
    assert kept.rows is not None
    assert kept.train_steps[1].lr == (1.0, 2.0)


def test_steps_made_of_columns_are_those_that_were_read() -> None:
    lines = [line("train_step", step=3, loss=1.0), line("train_step", step=4, epoch=0.5)]
    block = decode_block(b"\n".join(lines), 1)
    assert build_batch(block.rows).train_steps == tuple(block.events)


def test_run_ids_are_counted_in_order() -> None:
    assert batch(train_step(1)).run_ids() == {"r": 1}
    rows = [msgspec.structs.replace(train_step(1), run_id=run_id) for run_id in "bab"]
    found = batch(*rows)
    assert [*found.run_ids().items()] == [("b", 2), ("a", 1)]
    assert found.run_id is None


def test_batches_put_together_are_the_batch_of_all_their_events() -> None:
    events: list[AnyEvent] = [run_start(), train_step(1, loss=1.0), evaluation("t"), train_step(2)]
    joined = concatenate([build_batch(events[:2]), build_batch(events[2:], 2)])
    assert repr(joined) == repr(build_batch(events))
