"""A file that another process writes: what was appended since the last look, and what else."""

import os
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import attrs

READ_BYTES = 2**18
"""Most that one look reads: a file that is long already is caught up with in pieces."""

MARK_BYTES = 1024
"""Of the beginning, and of what stands before the place read up to, that are compared to tell a
file that grew from one that was written anew."""

_REPLACED = "replaced by another file"


class FileChange(Enum):
    """What happened to a file between two looks."""

    ABSENT = "absent"
    """There is no such file: not yet, or not any more."""
    UNREADABLE = "unreadable"
    UNCHANGED = "unchanged"
    GREW = "grew"
    RESTARTED = "restarted"
    """It is another file, or what was read of it is gone: it is read from its beginning again."""


class FileLook(NamedTuple):
    """What a look at a file found."""

    change: FileChange
    data: bytes = b""
    """What follows on the data of the looks before, or (restarted) stands at the beginning."""
    reason: str = ""
    """Why it cannot be read, or what became of what was read before."""
    has_more: bool = False
    """Whether another look finds more at once."""
    modified_s: float | None = None
    """When it was last written, Unix seconds."""


class _Identity(NamedTuple):
    """Which file it is, and in which state."""

    device: int
    inode: int
    size: int
    modified_ns: int


@attrs.frozen
class _Marks:
    """What is remembered of what was read, to recognise it."""

    head: bytes = b""
    tail: bytes = b""

    def with_data(self, data: bytes) -> "_Marks":
        """The marks after further data."""
        head = self.head
        if len(head) < MARK_BYTES:
            head = (head + data)[:MARK_BYTES]
        return _Marks(head, (self.tail + data[-MARK_BYTES:])[-MARK_BYTES:])


class GrowingFile:
    """Reads what is appended to a file; no method raises on what a file system can do.

    A file that shrank, or whose bytes are not those that were read, begins anew (truncation,
    rotation, a new file of the same name). One that was moved away and back, or replaced by a
    longer copy of itself, goes on.

    Args:
        path: The file; it need not exist.
        read_bytes: Most that one look reads.
    """

    def __init__(self, path: Path, read_bytes: int = READ_BYTES) -> None:
        self.path = path
        self._read_bytes = read_bytes
        self._known: _Identity | None = None
        self._offset = 0
        self._marks = _Marks()

    def look(self) -> FileLook:
        """What was appended since the last look; see :class:`FileChange`."""
        try:
            # Without O_NONBLOCK a pipe of this name would be waited for.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return self._read(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            self._known = None
            return FileLook(FileChange.ABSENT)
        except OSError as error:
            return FileLook(FileChange.UNREADABLE, reason=error.strerror or type(error).__name__)

    def _read(self, descriptor: int) -> FileLook:
        status = os.fstat(descriptor)
        found = _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if found == self._known and found.size == self._offset:
            return FileLook(FileChange.UNCHANGED, modified_s=status.st_mtime)
        reason = self._lost(descriptor, found)
        if reason:
            self._offset, self._marks = 0, _Marks()
        data = os.pread(descriptor, self._read_bytes, self._offset)
        self._known = found
        self._offset += len(data)
        self._marks = self._marks.with_data(data)
        change = FileChange.GREW if data else FileChange.UNCHANGED
        return FileLook(
            FileChange.RESTARTED if reason else change,
            data,
            reason,
            has_more=bool(data) and self._offset < found.size,
            modified_s=status.st_mtime,
        )

    def _lost(self, descriptor: int, found: _Identity) -> str:
        """How what was read came to be lost; empty where it stands where it stood."""
        moved = self._known is None or found[:2] != self._known[:2]
        if found.size < self._offset:
            cut = f"truncated from {self._offset} to {found.size} bytes"
            return _REPLACED if moved else cut
        head, tail = self._marks.head, self._marks.tail
        same = os.pread(descriptor, len(head), 0) == head
        if same and os.pread(descriptor, len(tail), self._offset - len(tail)) == tail:
            return ""
        return _REPLACED if moved else "written anew"
