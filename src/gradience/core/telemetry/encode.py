"""One event, one line of strict JSON: the writing direction of telemetry v1."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from gradience.core.nonfinite import NONFINITE_KEY, split_nonfinite
from gradience.core.telemetry.events import (
    EVENT_TYPES,
    EXTRAS_WIRE_KEY,
    AnyEvent,
    KnownEvent,
    TrainStep,
    UnknownEvent,
)

ENVELOPE_KEYS = ("schema", "ts", "run_id", "event", "step")
"""The keys of every record."""

COLLISION_PREFIX = "extra_"
"""Put before an extra whose name the record needs for itself (``step``, ``event`` …)."""

_ENCODER = msgspec.json.Encoder()

_NULL = b"null"
"""What the encoder writes for a non-finite number: a line without it has none, and a line with it
(a null, or the word in a text) is looked at number by number."""

_RESERVED = {
    kind: frozenset({*kind.__struct_encode_fields__, *ENVELOPE_KEYS, NONFINITE_KEY})
    for kind in EVENT_TYPES.values()
}
"""Names that no extra of an event may take."""


def encode_event(event: AnyEvent) -> bytes:
    """Writes an event as one line of strict JSON, without the newline.

    Non-finite numbers become ``null`` and are named in the record's ``nonfinite`` table. Extras
    stand at the top level; one whose name the record needs itself gets the prefix ``extra_``.

    Args:
        event: An event whose payload is plain JSON data (see
            :func:`gradience.core.telemetry.payload.plain_value`).

    Returns:
        UTF-8 bytes without line breaks.
    """
    if type(event) is TrainStep:
        line = _ENCODER.encode(_step_record(event) if event.extras else event)
        if line.find(_NULL) < 0:
            return line
    record = dict(event.payload) if isinstance(event, UnknownEvent) else _flat_record(event)
    line = _ENCODER.encode(record)
    if line.find(_NULL) < 0:
        return line
    strict, table = split_nonfinite(record)
    if table and isinstance(strict, dict):
        strict[NONFINITE_KEY] = table
    return _ENCODER.encode(strict)


def free_key(key: str, reserved: AbstractSet[str], extras: Mapping[str, object]) -> str:
    """``key``, with as many prefixes as it takes to collide neither with the record nor extras."""
    free = key
    while free in reserved or (free != key and free in extras):
        free = COLLISION_PREFIX + free
    return free


def _flat_record(event: KnownEvent) -> dict[str, object]:
    built: dict[str, object] = msgspec.to_builtins(event)
    built.pop(EXTRAS_WIRE_KEY, None)
    record = {key: built.pop(key) for key in ENVELOPE_KEYS}
    record.update(built)
    return _with_extras(record, event)


def _step_record(event: TrainStep) -> dict[str, object]:
    """As :func:`_flat_record` makes it, at a quarter of the cost: runs consist of these."""
    record: dict[str, object] = {
        "schema": event.schema,
        "ts": event.ts,
        "run_id": event.run_id,
        "event": "train_step",
        "step": event.step,
    }
    if event.loss is not None:
        record["loss"] = event.loss
    if event.lr is not None:
        record["lr"] = event.lr
    if event.grad_norm is not None:
        record["grad_norm"] = event.grad_norm
    if event.epoch is not None:
        record["epoch"] = event.epoch
    return _with_extras(record, event)


def _with_extras(record: dict[str, object], event: KnownEvent) -> dict[str, object]:
    extras, reserved = event.extras, _RESERVED[type(event)]
    if reserved.isdisjoint(extras):
        record.update(extras)
    else:
        record.update({free_key(key, reserved, extras): extras[key] for key in extras})
    return record
