"""JSON Schemas, made from the structs themselves."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gradience.core.audit.report import AuditReport
from gradience.core.checking.check import CheckReport
from gradience.core.explaining.report import LayerExplanation
from gradience.core.foreign_logs.report import ConvertReport
from gradience.core.monitoring.report import MonitorReport
from gradience.core.monitoring.runs_table import RunsReport
from gradience.core.nonfinite import NONFINITE_KEY
from gradience.core.telemetry.events import EXTRAS_WIRE_KEY, KnownEvent

SchemaName = Literal["telemetry", "check", "monitor", "runs", "convert", "audit", "explain"]

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NONFINITE_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "description": "Dotted key → token, for every number that is null here because it is not "
    "finite",
    "additionalProperties": {"enum": ["nan", "inf", "-inf"]},
}


def json_schema(name: SchemaName) -> dict[str, object]:
    """The JSON Schema of a telemetry record or of a report.

    Args:
        name: ``telemetry`` for one record (any event), ``runs`` for what ``monitor`` says of a
            folder, else the report of that command.

    Returns:
        A JSON Schema, draft 2020-12. Every object accepts further keys, as the contract does.
    """
    if name == "telemetry":
        schema = _schema_of(KnownEvent)
        return {"title": "Telemetry v1 record", **schema}
    reports = {
        "check": CheckReport,
        "monitor": MonitorReport,
        "runs": RunsReport,
        "convert": ConvertReport,
        "audit": AuditReport,
        "explain": LayerExplanation,
    }
    return {"title": f"gradience {name} --json", **_schema_of(reports[name])}


def _schema_of(kind: object) -> dict[str, object]:
    (reference,), definitions = msgspec.json.schema_components(
        [kind], ref_template="#/$defs/{name}", schema_hook=_any_value
    )
    opened = {name: _open(definition) for name, definition in definitions.items()}
    return {"$schema": SCHEMA_DIALECT, **reference, "$defs": opened}


def _any_value(kind: type) -> dict[str, object]:
    """Fields typed ``object`` hold any JSON value."""
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError


def _open(definition: Mapping[str, object]) -> dict[str, object]:
    """A definition without the internal key, and open to keys of newer versions."""
    opened = dict(definition)
    properties = opened.get("properties")
    if not isinstance(properties, Mapping):
        return opened
    kept = {key: value for key, value in properties.items() if key != EXTRAS_WIRE_KEY}
    if "event" in kept:
        kept[NONFINITE_KEY] = dict(_NONFINITE_SCHEMA)
    opened["properties"] = kept
    opened["additionalProperties"] = True
    return opened
