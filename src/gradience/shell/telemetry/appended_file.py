"""A file that lines are appended to, each whole or on a line of its own."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import attrs

CARRIED_BYTES = 8 * 2**20
"""Most that is carried over from a deleted file: what was written since the last look at it."""


@attrs.frozen(kw_only=True)
class FilePolicy:
    """How much is done for lines to outlive the process, the machine and the file."""

    fsync_s: float | None = None
    """Seconds between two fsync calls: None for never (lines outlive the process, not a power
    cut), 0 for one after every line, N for at most one in N seconds and one on closing."""
    look_s: float = 1.0
    """Seconds between two looks whether the file was deleted (one ``fstat`` each)."""


class AppendedFile:
    """Appends lines, each as one ``write`` to a descriptor opened for append.

    Nothing is ever truncated. Where the file ends in a torn line (a crash, a full disk), the next
    line starts fresh. Where the file was deleted, its lines since the last look and all that
    follow go into a new file of the same name. A file that cannot be opened or written raises
    OSError each time and can be tried again.

    Args:
        path: The file; missing folders are made.
        policy: When to call fsync, and how often to look for a deletion.
        clock: Seconds that only grow.

    Raises:
        OSError: On construction, where the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        policy: FilePolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._policy = policy or FilePolicy()
        self._clock = clock
        self._descriptor: int | None = None
        self._whole = False
        """Whether the file is known to end with a whole line."""
        self._seen_bytes = 0
        """The file's size at the latest look."""
        self._carried = b""
        """Lines of a deleted file that no other file holds yet."""
        self._looked = self._synced = clock()
        self._unsynced = False
        self._open()

    def append(self, line: bytes) -> None:
        """Appends one line, its newline included.

        Raises:
            OSError: The line is not in the file, or only a part of it, or (of fsync) perhaps not
                on the disk.
        """
        now = self._clock()
        if now - self._looked >= self._policy.look_s:
            self._look(now)
        descriptor = self._open() if self._descriptor is None else self._descriptor
        if self._carried or not self._whole:
            line = (b"\n" if _is_torn(descriptor) else b"") + self._carried + line
        self._whole = False
        _write_all(descriptor, line)
        self._whole = True
        self._carried = b""
        self._unsynced = True
        if self._policy.fsync_s is not None and now - self._synced >= self._policy.fsync_s:
            self._sync(descriptor, now)

    def close(self) -> None:
        """Closes the file, after a last look and the fsync that the policy asks for; twice is fine.

        Raises:
            OSError: What a deleted file held could not be written anew, or the fsync failed; the
                file is closed nevertheless.
        """
        try:
            self._look(self._clock())
            if self._carried:
                self.append(b"")
            if self._descriptor is not None and self._unsynced and self._policy.fsync_s is not None:
                self._sync(self._descriptor, self._clock())
        finally:
            descriptor, self._descriptor, self._carried = self._descriptor, None, b""
            if descriptor is not None:
                os.close(descriptor)

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o644)
        self._descriptor = descriptor
        self._whole = False
        self._seen_bytes = os.fstat(descriptor).st_size
        if self._policy.fsync_s is not None and not self._seen_bytes:
            _sync_folder(self.path.parent)
        return descriptor

    def _look(self, now: float) -> None:
        """Lets go of a file that was deleted, and keeps what it alone holds."""
        self._looked = now
        descriptor = self._descriptor
        if descriptor is None:
            return
        status = os.fstat(descriptor)
        if status.st_nlink or _is_at(self.path, status):
            self._seen_bytes = status.st_size
            return
        self._carried += _lines_after(descriptor, self._seen_bytes, status.st_size)
        self._descriptor = None
        os.close(descriptor)

    def _sync(self, descriptor: int, now: float) -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EROFS):  # a pipe or a device has no disk
                raise
        self._synced, self._unsynced = now, False


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        data = data[written:]
        written = os.write(descriptor, data)


def _is_torn(descriptor: int) -> bool:
    """Whether the file ends in the middle of a line; what cannot tell (a pipe) does not."""
    size = os.fstat(descriptor).st_size
    return bool(size) and os.pread(descriptor, 1, size - 1) != b"\n"


def _is_at(path: Path, status: os.stat_result) -> bool:
    """Whether ``path`` still leads to that file; some file systems count no links."""
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


def _lines_after(descriptor: int, start: int, stop: int) -> bytes:
    """The whole lines from ``start`` on, at most the last :data:`CARRIED_BYTES`."""
    low = max(start, stop - CARRIED_BYTES)
    data = os.pread(descriptor, stop - low, low)
    if low > start:
        data = data[data.find(b"\n") + 1 :]
    return data[: data.rfind(b"\n") + 1]


def _sync_folder(folder: Path) -> None:
    """Puts a new file's name on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
