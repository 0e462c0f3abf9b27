"""Training steps as they are read in bulk: the record's own fields, and nothing to collect.

A run's file is training steps nearly alone. A :class:`StepRow` holds what a ``TrainStep`` does, at
two thirds of its cost: no dictionary where nothing further was logged, and no work for the
collector of cycles, as nothing in a record can refer back to it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from gradience.core.nonfinite import NONFINITE_KEY, is_nonfinite_table, restore_nonfinite
from gradience.core.telemetry.events import (
    EXTRAS_WIRE_KEY,
    HOT_KEYS,
    MAX_DEPTH,
    Step,
    TrainStep,
)
from gradience.core.telemetry.older_records import NULLABLE_OPTIONALS

_ENVELOPE = ("schema", "ts", "run_id", "event", "step")
"""In the record of every row."""

_UNUSUAL = frozenset({NONFINITE_KEY, EXTRAS_WIRE_KEY, *NULLABLE_OPTIONALS})
"""Keys of which a reader makes more than extras."""

_BRACE, _BRACKET = b"{["
"""Bytes as numbers: that search is three times as fast."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class StepRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A training step that logged the hot fields and nothing else."""

    schema: Literal["gradience.vnext.telemetry/v1"]
    ts: float
    run_id: str
    event: Literal["train_step"]
    step: Step | None
    loss: float | None = None
    lr: float | tuple[float, ...] | None = None
    grad_norm: float | None = None
    epoch: float | None = None

    @property
    def extras(self) -> Mapping[str, object]:
        """What else it logged: nothing."""
        return _NOTHING

    def as_event(self) -> TrainStep:
        """The same as an event."""
        return TrainStep(
            schema=self.schema,
            ts=self.ts,
            run_id=self.run_id,
            step=self.step,
            extras=self.extras or {},
            loss=self.loss,
            lr=self.lr,
            grad_norm=self.grad_norm,
            epoch=self.epoch,
        )


class OpenStepRow(StepRow, frozen=True, kw_only=True, forbid_unknown_fields=False, gc=False):
    """A training step, and what else it logged."""

    extras: Mapping[str, object] = msgspec.field(name=EXTRAS_WIRE_KEY, default=_NOTHING)


decode_row = msgspec.json.Decoder(StepRow).decode
"""Reads a line that holds a training step with the hot fields alone.

Raises:
    ValueError: It holds something else.
    RecursionError: It is nested too deeply.
"""

_decode_open = msgspec.json.Decoder(OpenStepRow).decode
_decode_record = msgspec.json.Decoder(dict[str, object]).decode


def decode_open_row(line: bytes) -> StepRow | None:
    """Reads a line that holds a training step, whatever else it logged.

    Args:
        line: One record.

    Returns:
        The row with its extras; None where the record is no training step, or one that asks for a
        closer look (old spellings, odd values, deep nesting).
    """
    try:
        row = _decode_open(line)
        record = _decode_record(line)
    except (ValueError, RecursionError):
        return None
    if not _is_shallow(line):
        return None
    if not record.keys().isdisjoint(_UNUSUAL):
        return _decode_unusual(row, record)
    return _with_extras(row, record)


def _with_extras(row: StepRow, record: dict[str, object]) -> StepRow:
    """The row with what the record holds beside its own fields."""
    del record["schema"], record["ts"], record["run_id"], record["event"], record["step"]
    for key in HOT_KEYS:
        record.pop(key, None)
    if record:
        msgspec.structs.force_setattr(row, "extras", record)
    return row


def _decode_unusual(row: StepRow, record: dict[str, object]) -> StepRow | None:
    """Works a ``nonfinite`` table into the row, where that is all and it names fields alone."""
    table = record.pop(NONFINITE_KEY, None)
    nulls = {key: None for key, value in record.items() if value is None}
    if not (
        is_nonfinite_table(table)
        and _UNUSUAL.isdisjoint(record)
        and nulls.keys().isdisjoint(_ENVELOPE)
    ):
        return None
    restored = restore_nonfinite(nulls, table)
    numbers = restored if isinstance(restored, dict) else {}
    named = {key: number for key, number in numbers.items() if number is not None}
    if len(named) != len(table):
        return None
    for key in named.keys() & HOT_KEYS:
        msgspec.structs.force_setattr(row, key, named[key])
    return _with_extras(row, {**record, **named})


def _is_shallow(line: bytes) -> bool:
    if _BRACKET not in line and line.rfind(_BRACE) == 0:
        return True
    return line.count(b"{") + line.count(b"[") <= MAX_DEPTH
