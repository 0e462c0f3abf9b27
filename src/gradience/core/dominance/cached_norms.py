"""The text of the norm cache: norms of base weights under keys that name the weights' bytes."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import attrs
import msgspec

from gradience.core.dominance.ratios import BaseNorms

CACHE_VERSION = 2
"""Raised when norms are computed otherwise; a cache of another version counts as empty."""


@attrs.frozen(kw_only=True)
class CachePolicy:
    """Which entries are believed."""

    rounding: float = 1e-4
    """How far ‖W‖₂ may exceed ‖W‖_F, relatively: the accuracy that the norms promise."""


class CacheContent(NamedTuple):
    """What a cache holds."""

    norms: Mapping[str, BaseNorms]
    problem: str | None = None
    """What was not as the audit writes it, and is left out."""


class _Entry(msgspec.Struct, frozen=True):
    sigma_max: float
    fro: float


class _File(msgspec.Struct, frozen=True):
    version: int
    norms: dict[str, msgspec.Raw]


def encode_norms(norms: Mapping[str, BaseNorms]) -> bytes:
    """The cache's text, the same for the same norms."""
    entries = {key: msgspec.Raw(msgspec.json.encode(_Entry(*norms[key]))) for key in sorted(norms)}
    return msgspec.json.encode(_File(CACHE_VERSION, entries))


def decode_norms(data: bytes, policy: CachePolicy | None = None) -> CacheContent:
    """Reads a cache's text; nothing in it is an error, for it can all be computed anew.

    Args:
        data: The text.
        policy: Which entries are believed.

    Returns:
        The norms that are there and make sense, and a problem where some are not or do not.
    """
    policy = policy or CachePolicy()
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.MsgspecError as error:
        return CacheContent({}, f"expected a norm cache that the audit wrote, found: {error}")
    if file.version != CACHE_VERSION:
        return CacheContent({})
    entries = {key: _norms(raw, policy) for key, raw in file.norms.items()}
    norms = {key: found for key, found in entries.items() if found is not None}
    dropped = len(entries) - len(norms)
    return CacheContent(
        norms, f"{dropped} of {len(entries)} entries are no norms" if dropped else None
    )


def _norms(raw: msgspec.Raw, policy: CachePolicy) -> BaseNorms | None:
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except msgspec.MsgspecError:
        return None
    sound = math.isfinite(entry.fro) and 0 <= entry.sigma_max <= entry.fro * (1 + policy.rounding)
    return BaseNorms(entry.sigma_max, entry.fro) if sound else None
