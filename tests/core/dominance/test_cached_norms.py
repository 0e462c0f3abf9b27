"""The text of the norm cache."""

import msgspec
import pytest

from gradience.core.dominance.cached_norms import (
    CACHE_VERSION,
    CacheContent,
    decode_norms,
    encode_norms,
)
from gradience.core.dominance.ratios import BaseNorms

NORMS = {"b": BaseNorms(1.5, 2.5), "a": BaseNorms(0.0, 0.0), "rank one": BaseNorms(3.00001, 3.0)}


def text(norms: object, version: int = CACHE_VERSION) -> bytes:
    """A cache's text."""
    return msgspec.json.encode({"version": version, "norms": norms})


def test_decoding_undoes_encoding() -> None:
    assert decode_norms(encode_norms(NORMS)) == CacheContent(NORMS)


def test_the_text_does_not_depend_on_the_order() -> None:
    assert encode_norms(NORMS) == encode_norms(dict(reversed(NORMS.items())))


@pytest.mark.parametrize(
    "entry",
    [3, {"sigma_max": 1.0}, {"sigma_max": -1.0, "fro": 1.0}, {"sigma_max": 2.0, "fro": 1.0},
     {"sigma_max": None, "fro": 1.0}, {"sigma_max": "1", "fro": 1.0},
     {"sigma_max": 1.0, "fro": -1.0}],
)  # fmt: skip
def test_an_entry_that_makes_no_sense_is_dropped_and_said(entry: object) -> None:
    found = decode_norms(text({"bad": entry, "good": {"sigma_max": 1.0, "fro": 2.0}}))
    assert found == CacheContent({"good": BaseNorms(1.0, 2.0)}, "1 of 2 entries are no norms")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", text(3), b'{"version": 2}'])
def test_what_is_no_cache_is_empty_and_said(data: bytes) -> None:
    found = decode_norms(data)
    assert found.norms == {}
    assert str(found.problem).startswith("expected a norm cache")


def test_infinities_are_no_json() -> None:
    data = text({}).replace(b"{}", b'{"a": {"sigma_max": Infinity, "fro": Infinity}}')
    assert decode_norms(data).norms == {}


@pytest.mark.parametrize("version", [0, 1, CACHE_VERSION + 1])
def test_another_versions_norms_are_silently_not_used(version: int) -> None:
    assert decode_norms(text({"a": {"sigma_max": 1.0, "fro": 2.0}}, version)) == CacheContent({})
