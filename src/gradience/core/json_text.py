"""JSON as people and Python write it: bare NaN tokens, huge integers, halves of surrogates."""

import json

import msgspec


def parse_json(text: bytes) -> object:
    """Parses JSON, Python's bare ``NaN`` and ``Infinity`` tokens included.

    Raises:
        ValueError: ``text`` is not JSON or not UTF-8, or is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        return _encodable(json.loads(text, parse_int=_integer))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _integer(digits: str) -> int | float:
    """The integer; infinite where it has more digits than Python converts."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _encodable(value: object) -> object:
    """The value with ``?`` for half a surrogate pair, which JSON can escape and UTF-8 not hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
