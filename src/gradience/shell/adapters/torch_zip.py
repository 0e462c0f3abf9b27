"""The entries of a PyTorch file, checked before anything of them is unpacked.

A PyTorch file since 1.6 is a zip whose entries are stored, never compressed, so that it unpacks to
no more than its own size. A zip of which that does not hold is a bomb.
"""

import struct
import zipfile
from pathlib import Path

ZIP_MARK = b"PK\x03\x04"
"""How a zip begins, and how torch tells its two formats apart."""

TORCHSCRIPT_ENTRY = "constants.pkl"
"""Only an archive of code has this entry."""


class UnsafeZipError(ValueError):
    """A zip that is no archive of tensors as torch writes it."""


UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)
"""What a damaged or hostile zip raises."""


def refuse_unsafe(path: Path) -> None:
    """Passes an older plain pickle, and a zip that unpacks to no more than its own size.

    Raises:
        UnsafeZipError: It is another zip.
        OSError, zipfile.BadZipFile: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP_MARK)) != ZIP_MARK:
            return
    with zipfile.ZipFile(path) as archive:
        stored_entries(archive, path.stat().st_size)


def stored_entries(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """The entries of an archive of tensors.

    Args:
        archive: The open archive.
        size: Its size in bytes.

    Returns:
        The entries, which together are no larger than the archive.

    Raises:
        UnsafeZipError: An entry is compressed, entries overlap, or the archive holds TorchScript
            code.
    """
    entries = archive.infolist()
    if any(entry.filename.rpartition("/")[2] == TORCHSCRIPT_ENTRY for entry in entries):
        raise UnsafeZipError("it is a TorchScript archive of code")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UnsafeZipError("its entries are compressed, as torch never does")
    if sum(entry.file_size for entry in entries) > size:
        raise UnsafeZipError("its entries are larger than the file")
    return entries
