"""A safetensors file as views of its mapped bytes, and what damaged ones raise."""

import json
import weakref
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike
from safetensors import SafetensorError
from safetensors.numpy import save_file

from gradience.shell.safetensors_file import READ_ERRORS, open_safetensors

DTYPES = [
    (np.float64, "F64"),
    (np.float32, "F32"),
    (np.float16, "F16"),
    (ml_dtypes.bfloat16, "BF16"),
    (ml_dtypes.float8_e4m3fn, "F8_E4M3"),
    (ml_dtypes.float8_e5m2, "F8_E5M2"),
    (np.int64, "I64"),
    (np.int32, "I32"),
    (np.int16, "I16"),
    (np.int8, "I8"),
    (np.uint8, "U8"),
    (np.bool_, "BOOL"),
]


def _raw(path: Path, header: dict[str, Any], data: bytes = b"", length: int | None = None) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def _entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(("dtype", "name"), DTYPES)
def test_every_dtype_is_read_as_it_is(tmp_path: Path, dtype: DTypeLike, name: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    save_file({"t": array}, tmp_path / "x.safetensors")
    file = open_safetensors(tmp_path / "x.safetensors")
    assert file.tensors == (("t", (3, 4), name),)
    found = file.array("t")
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found.astype(np.float64), array.astype(np.float64))


def test_tensors_stand_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    header = {
        "b": _entry("U8", [2], 0, 2),
        "c": _entry("U8", [1], 3, 4),
        "a": _entry("U8", [], 2, 3),
    }
    file = open_safetensors(_raw(tmp_path / "x.safetensors", header, bytes([7, 8, 9, 10])))
    assert [tensor.name for tensor in file.tensors] == ["b", "a", "c"]
    assert [file.array(tensor.name).tolist() for tensor in file.tensors] == [[7, 8], 9, [10]]


def test_views_are_read_only_and_may_be_unaligned(tmp_path: Path) -> None:
    header = {"a": _entry("U8", [1], 0, 1), "b": _entry("F32", [2], 1, 9)}
    data = b"\x01" + np.array([1.5, -2.5], np.float32).tobytes()
    found = open_safetensors(_raw(tmp_path / "x.safetensors", header, data)).array("b")
    assert found.tolist() == [1.5, -2.5]
    assert not found.flags.writeable


def test_empty_tensors_and_empty_files_are_read(tmp_path: Path) -> None:
    header = {"e": _entry("F32", [0, 4], 0, 0)}
    file = open_safetensors(_raw(tmp_path / "x.safetensors", header))
    assert file.array("e").shape == (0, 4)
    assert open_safetensors(_raw(tmp_path / "y.safetensors", {})).tensors == ()


@pytest.mark.parametrize("metadata", [None, {}, {"ss_network_dim": "4", "é": "ü"}])
def test_metadata_are_those_of_the_header(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"t": np.ones(2)}, tmp_path / "x.safetensors", metadata=metadata)
    assert open_safetensors(tmp_path / "x.safetensors").metadata == (metadata or {})


def test_an_unknown_tensor_is_refused(tmp_path: Path) -> None:
    save_file({"t": np.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="no tensor u"):
        open_safetensors(tmp_path / "x.safetensors").array("u")


def test_a_dtype_that_numpy_cannot_hold_is_listed_and_refused(tmp_path: Path) -> None:
    header = {"t": _entry("F4", [4], 0, 2)}
    file = open_safetensors(_raw(tmp_path / "x.safetensors", header, b"ab"))
    assert file.tensors == (("t", (4,), "F4"),)
    with pytest.raises(TypeError, match="dtype F4"):
        file.array("t")


def test_the_mapping_goes_with_the_last_view(tmp_path: Path) -> None:
    save_file({"t": np.ones(2)}, tmp_path / "x.safetensors")
    file = open_safetensors(tmp_path / "x.safetensors")
    view, mapping = file.array("t"), weakref.ref(file._map)
    del file
    assert mapping() is not None
    assert view.sum() == 2.0
    del view
    assert mapping() is None


DAMAGED: dict[str, tuple[dict[str, Any], bytes]] = {
    "offsets past the end": ({"t": _entry("F32", [2], 0, 8)}, b"1234"),
    "offsets reversed": ({"t": _entry("F32", [2], 8, 0)}, b"12345678"),
    "offsets below zero": ({"t": _entry("F32", [2], -8, 0)}, b"12345678"),
    "a shape larger than its bytes": ({"t": _entry("F32", [2**40], 0, 8)}, b"12345678"),
    "a product beyond the integers": ({"t": _entry("F32", [2**40, 2**40], 0, 8)}, b"12345678"),
    "a negative shape": ({"t": _entry("F32", [-2], 0, 8)}, b"12345678"),
    "overlapping tensors": (
        {"t": _entry("U8", [4], 0, 4), "u": _entry("U8", [4], 2, 6)},
        b"123456",
    ),
    "a gap": ({"t": _entry("U8", [2], 0, 2), "u": _entry("U8", [2], 4, 6)}, b"123456"),
    "bytes of no tensor": ({"t": _entry("U8", [2], 0, 2)}, b"123456"),
    "an unknown dtype": ({"t": _entry("Q7", [2], 0, 2)}, b"12"),
    "no offsets": ({"t": {"dtype": "U8", "shape": [2]}}, b"12"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_header_is_refused_before_anything_is_mapped(tmp_path: Path, damage: str) -> None:
    path = _raw(tmp_path / "x.safetensors", *DAMAGED[damage])
    with pytest.raises(SafetensorError):
        open_safetensors(path)


@pytest.mark.parametrize("length", [0, 2**20, 2**63, 2**64 - 1])
def test_a_wrong_header_length_is_refused(tmp_path: Path, length: int) -> None:
    path = _raw(tmp_path / "x.safetensors", {"t": _entry("U8", [2], 0, 2)}, b"12", length)
    with pytest.raises(READ_ERRORS):
        open_safetensors(path)


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"garbage " * 40])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(READ_ERRORS):
        open_safetensors(path)
    with pytest.raises(OSError, match="No such file"):
        open_safetensors(tmp_path / "nowhere.safetensors")
