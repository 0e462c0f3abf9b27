"""Reading tensors one at a time: dtypes, damaged files, and pickles that must not run."""

import os
import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import DTypeLike
from safetensors.numpy import save_file

from gradience.core.errors import AdapterError
from gradience.shell.adapters.weights import open_weights, state_dict_weights
from tests.adapter_files import Array, factors


class _Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float64, "F64"),
        (np.float32, "F32"),
        (np.float16, "F16"),
        (ml_dtypes.bfloat16, "BF16"),
        (ml_dtypes.float8_e4m3fn, "F8_E4M3"),
        (ml_dtypes.float8_e5m2, "F8_E5M2"),
        (np.int8, "I8"),
    ],
)
def test_every_dtype_is_read_as_it_is(tmp_path: Path, dtype: DTypeLike, name: str) -> None:
    array = factors()[0].astype(dtype)
    path = tmp_path / "x.safetensors"
    save_file({"t": array}, path)
    weights = open_weights(path)
    assert weights.tensors == (("t", (4, 12), name),)
    found = weights.load("t")
    assert found.dtype == array.dtype
    assert (found.astype(np.float64) == array.astype(np.float64)).all()


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (torch.float64, "F64"),
        (torch.float32, "F32"),
        (torch.float16, "F16"),
        (torch.bfloat16, "BF16"),
        (torch.float8_e4m3fn, "F8_E4M3"),
        (torch.int8, "int8"),
    ],
)
def test_a_pickle_of_tensors_is_read(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    tensor = torch.from_numpy(factors()[0]).to(dtype)
    path = tmp_path / "adapter_model.bin"
    torch.save({"t": tensor}, path)
    weights = open_weights(path)
    assert weights.tensors == (("t", (4, 12), name),)
    assert (weights.load("t") == tensor.double().numpy()).all()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "adapter_model.bin"
    path.write_bytes(pickle.dumps({"t": _Hostile(tmp_path / "ran")}, protocol=protocol))
    with pytest.raises(AdapterError, match="never unpickled"):
        open_weights(path)
    assert not (tmp_path / "ran").exists()


def test_a_hostile_pickle_in_torchs_zip_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.bin"
    torch.save({"t": torch.ones(2), "x": _Hostile(tmp_path / "ran")}, path)
    with pytest.raises(AdapterError, match="never unpickled"):
        open_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[1, 2], {"t": 3}, {"t": {"u": 1.0}}])
def test_a_pickle_of_other_things_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "adapter_model.bin"
    torch.save(content, path)
    with pytest.raises(AdapterError, match="dictionary of tensors"):
        open_weights(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 7, b"garbage " * 40, b"\xff" * 64, b"<html>not found</html>"]
)
def test_damaged_files_are_refused_with_their_path(
    tmp_path: Path, suffix: str, data: bytes
) -> None:
    path = tmp_path / f"adapter_model.{suffix}"
    path.write_bytes(data)
    with pytest.raises(AdapterError, match="adapter_model"):
        open_weights(path)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.1])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "adapter_model.safetensors"
    save_file({"t": np.ones((20, 20))}, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(AdapterError, match="damaged or cut off"):
        open_weights(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_missing_file_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(AdapterError, match="No such file"):
        open_weights(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"adapter_model.{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(AdapterError, match="git lfs pull"):
        open_weights(path)


def test_an_unknown_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"t": np.ones(2)}, path)
    with pytest.raises(AdapterError, match="tensor nothing"):
        open_weights(path).load("nothing")


def test_arrays_in_memory_are_given_as_they_are() -> None:
    array = factors()[0]
    odd = np.ones(3, dtype=np.int8)
    weights = state_dict_weights({"t": array, "i": odd})  # type: ignore[dict-item]  # a wrong dtype on purpose
    assert [tensor.dtype for tensor in weights.tensors] == ["F32", "int8"]
    assert weights.load("t") is array


def test_scalars_are_the_alphas_and_rank_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    state: dict[str, Array] = {
        "m.alpha": np.array(4.0, np.float16),
        "n.alpha": np.array([8.0], np.float32),
        "q.ranknum": np.array([12.0]),
        "q.ranknum.default": np.array([6.0]),
        "wide.alpha": np.ones(2),
        "alpha.weight": np.ones(1),
    }
    save_file(state, path)
    found = {"m.alpha": 4.0, "n.alpha": 8.0, "q.ranknum": 12.0, "q.ranknum.default": 6.0}
    assert open_weights(path).scalars() == found


def test_metadata_are_those_of_the_header(tmp_path: Path) -> None:
    save_file({"t": np.ones(2)}, tmp_path / "x.safetensors", metadata={"a": "b"})
    assert open_weights(tmp_path / "x.safetensors").metadata == {"a": "b"}
    torch.save({"t": torch.ones(2)}, tmp_path / "x.bin")
    assert open_weights(tmp_path / "x.bin").metadata == {}


def test_a_dtype_that_numpy_cannot_hold_is_refused_where_it_is_read(tmp_path: Path) -> None:
    header = b'{"t":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    weights = open_weights(path)
    with pytest.raises(AdapterError, match=r"x\.safetensors: tensor t: cannot read: dtype F4"):
        weights.load("t")


def test_a_suffix_of_pt_is_a_pickle(tmp_path: Path) -> None:
    torch.save({"t": torch.ones(2)}, tmp_path / "lora.pt")
    assert open_weights(tmp_path / "lora.pt").load("t").tolist() == [1.0, 1.0]
