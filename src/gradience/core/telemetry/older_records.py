"""Records of older writers and newer versions, in the shape of this version's structs."""

import math
from collections.abc import Mapping

from gradience.core.config.snapshot import fold_unknown_keys
from gradience.core.numbers import real_number
from gradience.core.telemetry.events import FREE_EVENTS, HOT_KEYS, Recommendation

NULLABLE_OPTIONALS = ("meta", "context")
"""Optional mappings that other writers may give as null."""

FOLDED_KEYS = {"alert": "severity", "run_end": "status"}
"""Event → the key whose value is one of a few words, in upper or lower case."""


def modernise(record: dict[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Old spellings and keys of newer versions, in the shape of the structs."""
    shaped = dict(record)
    moved: tuple[str, ...] = ()
    step = shaped.setdefault("step", None)
    if isinstance(step, float) and step.is_integer():
        shaped["step"] = int(step)
    floats = ("ts", *HOT_KEYS) if shaped["event"] in FREE_EVENTS else ("ts",)
    shaped.update({key: _within_floats(shaped[key]) for key in floats if key in shaped})
    word = FOLDED_KEYS.get(str(shaped["event"]))
    if word is not None and word in shaped:
        shaped[word] = _lower(shaped[word])
    for key in NULLABLE_OPTIONALS:
        if shaped.get(key, key) is None:
            del shaped[key]
    config = shaped.get("config")
    if shaped["event"] == "run_start" and isinstance(config, Mapping):
        shaped["config"], inner = fold_unknown_keys(config)
        moved += tuple(f"config.{key}" for key in inner)
    if shaped["event"] == "alert" and "metadata" in shaped and "context" not in shaped:
        shaped["context"] = shaped.pop("metadata")
    items = shaped.get("recommendations")
    if shaped["event"] == "recommendation" and isinstance(items, list):
        shaped["recommendations"] = [_fold_recommendation(item) for item in items]
    return shaped, moved


def _within_floats(value: object) -> object:
    """The value with integers beyond the range of floats as infinities."""
    if isinstance(value, list):
        return [_within_floats(item) for item in value]
    number = real_number(value) if isinstance(value, int) else None
    return value if number is None or math.isfinite(number) else number


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _fold_recommendation(item: object) -> object:
    if not isinstance(item, Mapping):
        return item
    known = set(Recommendation.__struct_fields__)
    unknown = {key: value for key, value in item.items() if key not in known}
    kept = {key: value for key, value in item.items() if key in known and value is not None}
    kept["severity"] = _lower(kept.get("severity"))
    evidence = kept.get("evidence")
    if unknown:
        kept["evidence"] = {**unknown, **(evidence if isinstance(evidence, Mapping) else {})}
    return kept
