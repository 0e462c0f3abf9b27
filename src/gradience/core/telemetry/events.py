"""The events of telemetry v1: one tagged union of frozen structs.

Every record has the same envelope (``schema``, ``ts``, ``run_id``, ``event``, ``step``); the rest
of the keys are the event's payload. Keys that a struct does not know are kept in its ``extras``
and written back at the record's top level. Time and ids come in as arguments.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.severity import Severity

TELEMETRY_SCHEMA_VERSION = "gradience.vnext.telemetry/v1"
"""The value of ``schema`` in every record that this version reads and writes."""

EXTRAS_WIRE_KEY = "$extras"
"""Never written: ``extras`` are flattened. A name no tool uses, so no record's key is taken."""

MAX_DEPTH = 100
"""Deepest nesting of a record that is written or read: far beyond any payload, far below
Python's stack."""

Step = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An optimizer step; bounded so that it fits an integer column."""


class RunStatus(Enum):
    """How a run ended, as its ``run_end`` says."""

    OK = "ok"
    ABORTED = "aborted"
    ERROR = "error"


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="event",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The envelope that all events share."""

    schema: str
    ts: float
    """Unix time, seconds."""
    run_id: str
    step: Step | None
    extras: Mapping[str, object] = msgspec.field(name=EXTRAS_WIRE_KEY, default_factory=dict)


class RunStart(Event, frozen=True, kw_only=True, tag="run_start"):
    """A run begins; its configuration."""

    config: ConfigSnapshot
    meta: Mapping[str, object] = {}


class TrainStep(Event, frozen=True, kw_only=True, tag="train_step"):
    """What the trainer logged at an optimizer step; anything else it logged is in ``extras``."""

    loss: float | None = None
    lr: float | tuple[float, ...] | None = None
    """One number, or one per parameter group."""
    grad_norm: float | None = None
    epoch: float | None = None


class Eval(Event, frozen=True, kw_only=True, tag="eval"):
    """Metrics of one evaluation over one split."""

    split: str
    metrics: Mapping[str, object]


class Metrics(Event, frozen=True, kw_only=True, tag="metrics"):
    """A group of numbers of some kind, such as ``lora_audit`` or ``guard``."""

    kind: str
    metrics: Mapping[str, object]


class Alert(Event, frozen=True, kw_only=True, tag="alert"):
    """Something a person should look at."""

    severity: Severity
    code: str
    message: str
    context: Mapping[str, object] = {}


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A hypothesis about what to change, with its grounds.

    ``refuted_by`` names the experiment that would show it wrong.
    """

    severity: Severity
    action: str
    message: str
    rationale: str = ""
    confidence: float = 0.0
    """From 0 (a guess) to 1."""
    scope: str = ""
    evidence: Mapping[str, object] = {}
    refuted_by: str = ""


class RecommendationEvent(Event, frozen=True, kw_only=True, tag="recommendation"):
    """Recommendations written into the run's own record."""

    recommendations: tuple[Recommendation, ...]


class RunEnd(Event, frozen=True, kw_only=True, tag="run_end"):
    """The run is over; why, where that is known."""

    status: RunStatus
    reason: str | None = None


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose event or payload this version does not know; kept whole."""

    event: str
    schema: str
    ts: float | None = None
    run_id: str | None = None
    step: int | None = None
    payload: Mapping[str, object] = {}
    """The record as it was read, envelope included."""


KnownEvent = RunStart | TrainStep | Eval | Metrics | Alert | RecommendationEvent | RunEnd
"""The tagged union: what a decoder of the v1 schema yields."""

AnyEvent = KnownEvent | UnknownEvent
"""What a reader yields: an event of the union, or the record of one that is not in it."""

EVENT_TYPES: Mapping[str, type[KnownEvent]] = {
    "run_start": RunStart,
    "train_step": TrainStep,
    "eval": Eval,
    "metrics": Metrics,
    "alert": Alert,
    "recommendation": RecommendationEvent,
    "run_end": RunEnd,
}
"""Event name → struct."""


HOT_KEYS = ("loss", "lr", "grad_norm", "epoch")
"""The numbers of a training step that have fields of their own."""

DROPPED_EVENTS = "dropped_events"
"""Extra key of any event: how many events the recorder lost before it."""

FREE_EVENTS = frozenset({"train_step"})
"""Events whose payload is open by contract: extra keys there are data, not news."""


def event_name(event: AnyEvent) -> str:
    """The value of ``event`` in the record of ``event``."""
    if isinstance(event, UnknownEvent):
        return event.event
    return str(event.__struct_config__.tag)
