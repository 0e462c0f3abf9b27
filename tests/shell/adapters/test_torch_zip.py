"""A PyTorch file's entries: what torch writes passes, and what would unpack to more does not."""

import io
import zipfile
from pathlib import Path

import pytest
import torch

from gradience.shell.adapters.torch_zip import UnsafeZipError, refuse_unsafe, stored_entries


def _zip(*names: str, method: int = zipfile.ZIP_STORED, copies: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(name, bytes(1000))
        archive.filelist.extend(archive.infolist()[:1] * copies)
    return buffer.getvalue()


@pytest.mark.parametrize("as_zip", [True, False])
def test_what_torch_writes_passes(tmp_path: Path, *, as_zip: bool) -> None:
    path = tmp_path / "x.bin"
    torch.save({"t": torch.ones(3)}, path, _use_new_zipfile_serialization=as_zip)
    refuse_unsafe(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_zip("a/data.pkl", method=zipfile.ZIP_DEFLATED), "compressed, as torch never does"),
        (_zip("a/data.pkl", "a/constants.pkl"), "TorchScript"),
        (_zip("a/data/0", copies=9), "larger than the file"),
    ],
    ids=["compressed", "code", "overlapping"],
)
def test_other_zips_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(UnsafeZipError, match=words):
        refuse_unsafe(path)


def test_a_zip_that_was_cut_off_is_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(_zip("a/data/0")[:-30])
    with pytest.raises(zipfile.BadZipFile):
        refuse_unsafe(path)


def test_the_entries_of_an_archive_are_listed() -> None:
    data = _zip("a/data/0", "a/data/1")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert [e.filename for e in stored_entries(archive, len(data))] == ["a/data/0", "a/data/1"]
