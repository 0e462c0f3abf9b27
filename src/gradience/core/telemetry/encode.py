"""One event, one line of strict JSON: the writing direction of telemetry v1."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from gradience.core.nonfinite import NONFINITE_KEY, split_nonfinite
from gradience.core.telemetry.events import (
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
    if isinstance(event, TrainStep) and not event.extras and _is_finite(event):
        return _ENCODER.encode(event)
    record = dict(event.payload) if isinstance(event, UnknownEvent) else _flat_record(event)
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


def _is_finite(event: TrainStep) -> bool:
    rates = event.lr if isinstance(event.lr, tuple) else (event.lr,)
    numbers = (event.ts, event.loss, event.grad_norm, event.epoch, *rates)
    return all(number is None or math.isfinite(number) for number in numbers)


def _flat_record(event: KnownEvent) -> dict[str, object]:
    built: dict[str, object] = msgspec.to_builtins(event)
    built.pop(EXTRAS_WIRE_KEY, None)
    record = {key: built.pop(key) for key in ENVELOPE_KEYS}
    record.update(built)
    reserved = {*event.__struct_encode_fields__, *ENVELOPE_KEYS, NONFINITE_KEY}
    for key, value in event.extras.items():
        record[free_key(key, reserved, event.extras)] = value
    return record
