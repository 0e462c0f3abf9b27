"""The norm cache on disk."""

from pathlib import Path

import pytest

from gradience.core.dominance.cached_norms import decode_norms
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.errors import GradienceError
from gradience.shell.norm_cache import NormCacheFile

ONE, TWO = BaseNorms(1.0, 2.0), BaseNorms(2.0, 3.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cache file that is not there yet."""
    return tmp_path / "cache" / "norms.json"


def test_what_was_saved_is_found_again(path: Path) -> None:
    cache = NormCacheFile(path)
    cache.put("a", ONE)
    cache.save()
    again = NormCacheFile(path)
    assert (again.get("a"), again.get("b"), again.problem) == (ONE, None, None)


def test_two_that_are_open_at_once_keep_each_others_norms(path: Path) -> None:
    first, second = NormCacheFile(path), NormCacheFile(path)
    first.put("a", ONE)
    second.put("b", TWO)
    first.save()
    second.save()
    assert decode_norms(path.read_bytes()).norms == {"a": ONE, "b": TWO}


def test_nothing_is_written_without_anything_new(path: Path) -> None:
    NormCacheFile(path).save()
    assert not path.exists()


def test_a_cache_without_a_file_keeps_norms_in_memory() -> None:
    cache = NormCacheFile(None)
    cache.put("a", ONE)
    cache.save()
    assert cache.get("a") == ONE


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 2, "norms": {"a": 3}}'])
def test_a_damaged_file_is_a_problem_and_is_replaced(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    cache = NormCacheFile(path)
    assert str(cache.problem).startswith(f"{path}: ")
    assert str(cache.problem).endswith("computed anew")
    cache.put("a", ONE)
    cache.save()
    assert NormCacheFile(path).problem is None


def test_a_folder_in_its_place_is_a_problem(tmp_path: Path) -> None:
    cache = NormCacheFile(tmp_path)
    assert "cannot read" in str(cache.problem)
    cache.put("a", ONE)
    with pytest.raises(GradienceError, match="cannot write"):
        cache.save()
