"""Strategies of telemetry events of every kind, and of the configurations in them."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.nonfinite import NONFINITE_KEY
from gradience.core.severity import Severity
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.telemetry.encode import ENVELOPE_KEYS
from gradience.core.telemetry.events import (
    EVENT_TYPES,
    TELEMETRY_SCHEMA_VERSION,
    Alert,
    AnyEvent,
    Eval,
    KnownEvent,
    Metrics,
    Recommendation,
    RecommendationEvent,
    RunEnd,
    RunStart,
    RunStatus,
    TrainStep,
    UnknownEvent,
)
from gradience.core.telemetry.payload import MAX_JSON_INT

INTS = st.integers(-MAX_JSON_INT, MAX_JSON_INT)
NUMBERS = st.floats()
WORDS = st.text(max_size=12) | st.sampled_from(["null", "1", "true", "a.b", "a\\", "naïve 模型 🚀"])

SCALARS = st.none() | st.booleans() | INTS | NUMBERS | WORDS
JSON_VALUES: st.SearchStrategy[object] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
JSON_OBJECTS: st.SearchStrategy[Mapping[str, object]] = st.dictionaries(
    WORDS, JSON_VALUES, max_size=3
)

TAKEN_KEYS = frozenset(
    {
        *ENVELOPE_KEYS,
        NONFINITE_KEY,
        "metadata",  # an alert's context in old files
        *(name for struct in EVENT_TYPES.values() for name in struct.__struct_encode_fields__),
    }
)
"""Keys that a record needs for itself; extras of these names are renamed when written."""

EXTRAS: st.SearchStrategy[Mapping[str, object]] = st.dictionaries(
    WORDS.filter(lambda key: key not in TAKEN_KEYS), JSON_VALUES, max_size=3
)

CONFIGS = st.builds(
    ConfigSnapshot,
    model_name=st.none() | WORDS,
    dataset_name=st.none() | WORDS,
    task_profile=st.sampled_from(TaskProfile),
    optimizer=st.builds(
        OptimizerSnapshot,
        name=st.none() | WORDS,
        lr=st.none() | NUMBERS,
        weight_decay=st.none() | NUMBERS,
        betas=st.none() | st.tuples(NUMBERS, NUMBERS),
        eps=st.none() | NUMBERS,
        extras=JSON_OBJECTS,
    ),
    lora=st.builds(
        LoraSnapshot,
        r=st.none() | INTS,
        alpha=st.none() | NUMBERS,
        alpha_over_r=st.none() | NUMBERS,
        target_modules=st.none() | WORDS | st.lists(WORDS, max_size=3).map(tuple),
        dropout=st.none() | NUMBERS,
        bias=st.none() | WORDS,
        extras=JSON_OBJECTS,
    ),
    training=st.builds(
        TrainingSnapshot,
        seed=st.none() | INTS,
        batch_size=st.none() | INTS,
        max_steps=st.none() | INTS,
        epochs=st.none() | NUMBERS,
        dtype=st.none() | WORDS,
        extras=JSON_OBJECTS,
    ),
    notes=st.none() | WORDS,
    extras=JSON_OBJECTS,
)

RECOMMENDATIONS = st.builds(
    Recommendation,
    severity=st.sampled_from(Severity),
    action=WORDS,
    message=WORDS,
    rationale=WORDS,
    confidence=NUMBERS,
    scope=WORDS,
    evidence=JSON_OBJECTS,
    refuted_by=WORDS,
)


class Vocabulary(NamedTuple):
    """The words that events are made of; few words make events that meet."""

    run_ids: st.SearchStrategy[str]
    steps: st.SearchStrategy[int | None]
    words: st.SearchStrategy[str]
    metrics: st.SearchStrategy[Mapping[str, object]]
    extras: st.SearchStrategy[Mapping[str, object]]


def known_events(use: Vocabulary) -> st.SearchStrategy[KnownEvent]:
    """Events of every known kind, made of a vocabulary."""
    envelope = {
        "schema": st.just(TELEMETRY_SCHEMA_VERSION),
        "ts": NUMBERS,
        "run_id": use.run_ids,
        "step": use.steps,
        "extras": use.extras,
    }
    number = st.none() | NUMBERS
    rates = number | st.lists(NUMBERS, max_size=3).map(tuple)
    return st.one_of(
        st.builds(TrainStep, loss=number, lr=rates, grad_norm=number, epoch=number, **envelope),
        st.builds(RunStart, config=CONFIGS, meta=JSON_OBJECTS, **envelope),
        st.builds(Eval, split=use.words, metrics=use.metrics, **envelope),
        st.builds(Metrics, kind=use.words, metrics=use.metrics, **envelope),
        st.builds(
            Alert,
            severity=st.sampled_from(Severity),
            code=use.words,
            message=WORDS,
            context=JSON_OBJECTS,
            **envelope,
        ),
        st.builds(
            RecommendationEvent,
            recommendations=st.lists(RECOMMENDATIONS, max_size=2).map(tuple),
            **envelope,
        ),
        st.builds(RunEnd, status=st.sampled_from(RunStatus), reason=st.none() | WORDS, **envelope),
    )


EVENTS = known_events(Vocabulary(WORDS, st.none() | INTS, WORDS, JSON_OBJECTS, EXTRAS))
"""Known events of any content."""

_NAMES = st.sampled_from(
    ["train", "test", "lora_audit", "guard", "GUARD_TRIGGERED", "GUARD_ROLLBACK", "GUARD_ABORT"]
)
_METRICS: st.SearchStrategy[Mapping[str, object]] = st.dictionaries(
    st.sampled_from(["loss", "lr", "ppl", "reward", "accuracy", "a.b"]),
    NUMBERS | st.lists(NUMBERS, max_size=2) | WORDS,
    max_size=3,
)

STREAMS: st.SearchStrategy[list[AnyEvent]] = st.lists(
    known_events(
        Vocabulary(
            run_ids=st.sampled_from(["", "first", "second"]),
            steps=st.none() | st.integers(-2, 9),
            words=_NAMES,
            metrics=_METRICS,
            extras=_METRICS,
        )
    )
    | st.builds(
        UnknownEvent,
        event=_NAMES,
        schema=st.just(TELEMETRY_SCHEMA_VERSION),
        ts=st.none() | NUMBERS,
        run_id=st.sampled_from([None, "first", "second"]),
    ),
    max_size=16,
)
"""Streams of few words, so that runs, splits, metric names and steps meet each other."""


class CutStream(NamedTuple):
    """A stream of events, whole and in batches cut at random (empty ones among them)."""

    whole: Batch
    batches: tuple[Batch, ...]
    events: tuple[AnyEvent, ...]


def cut(events: list[AnyEvent], places: list[int]) -> CutStream:
    """The stream cut before each of the places that lie in it."""
    inside = sorted(place for place in places if place <= len(events))
    edges = [0, *inside, len(events)]
    batches = tuple(build_batch(events[low:high], low) for low, high in pairwise(edges))
    return CutStream(build_batch(events), batches, tuple(events))


CUT_STREAMS = st.builds(cut, STREAMS, st.lists(st.integers(0, 16), max_size=5))
