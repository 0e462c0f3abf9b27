"""The file that keeps norms of base weights between audits."""

from collections.abc import Mapping
from pathlib import Path

from gradience.core.dominance.cached_norms import CacheContent, decode_norms, encode_norms
from gradience.core.dominance.ratios import BaseNorms
from gradience.shell.files import write_atomically


class NormCacheFile:
    """Norms by key, read once; what is new is written on demand.

    Keys name the bytes that a norm was computed of, so that one file serves any number of base
    models. A damaged file is a :attr:`problem`, never an error: its norms are computed anew.

    Args:
        path: The file; None for a cache that is not kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        content = _read(path)
        self.problem: str | None = content.problem
        """What of the file could not be used, and that it was computed anew."""
        self._norms: dict[str, BaseNorms] = dict(content.norms)
        self._new: dict[str, BaseNorms] = {}

    def get(self, key: str) -> BaseNorms | None:
        """The norms under a key, or None."""
        return self._norms.get(key)

    def put(self, key: str, norms: BaseNorms) -> None:
        """Keeps norms, in memory until :meth:`save`."""
        self._norms[key] = self._new[key] = norms

    def save(self) -> None:
        """Adds what is new to what the file holds by now, where there is a file and anything new.

        Raises:
            GradienceError: The file cannot be written.
        """
        if self._path is None or not self._new:
            return
        present: Mapping[str, BaseNorms] = _read(self._path).norms
        write_atomically(self._path, encode_norms({**present, **self._new}))
        self._new = {}


def _read(path: Path | None) -> CacheContent:
    if path is None or not path.exists():
        return CacheContent({})
    try:
        content = decode_norms(path.read_bytes())
    except OSError as error:
        return CacheContent({}, f"{path}: cannot read: {error.strerror}")
    if content.problem is None:
        return content
    return content._replace(problem=f"{path}: {content.problem}; they are computed anew")
