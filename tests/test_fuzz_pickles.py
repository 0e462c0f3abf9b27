"""Damaged and hostile pickles end in a clear error, and no code of theirs runs."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gradience.api import audit
from gradience.core.errors import AdapterError
from tests.adapter_files import lora_config
from tests.cli.run_cli import CliResult, run_cli
from tests.damaged_adapters import A_KEY, B_KEY, assert_refused, audit_in_child, audited


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    def run(*args: object) -> CliResult:
        return run_cli(capsys, *args)

    return run


class _Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def _write_bin(folder: Path, data: bytes) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(lora_config()))
    (folder / "adapter_model.bin").write_bytes(data)
    return folder


def _saved(state: object, *, as_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=as_zip)
    return buffer.getvalue()


def _compressed(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        for item in source.infolist():
            target.writestr(item.filename, source.read(item))
    return buffer.getvalue()


def _script() -> bytes:
    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    buffer = io.BytesIO()
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(Module()), buffer)
    return buffer.getvalue()


def _state(a: torch.Tensor) -> dict[str, torch.Tensor]:
    return {A_KEY: a, B_KEY: torch.ones(10, 4)}


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_hostile_pickle_does_not_run(
    tmp_path: Path, cli: Callable[..., CliResult], *, as_zip: bool, inside: bool
) -> None:
    ran = tmp_path / "ran"
    state = {**_state(torch.ones(4, 12)), "x": _Hostile(ran)} if inside else _Hostile(ran)
    result = cli("audit", _write_bin(tmp_path, _saved(state, as_zip=as_zip)))
    assert_refused(result)
    assert "never unpickled" in result.err
    assert not ran.exists()


def test_a_bare_pickle_does_not_run(tmp_path: Path, cli: Callable[..., CliResult]) -> None:
    ran = tmp_path / "ran"
    assert_refused(cli("audit", _write_bin(tmp_path, pickle.dumps(_Hostile(ran)))))
    assert not ran.exists()


def test_torchscript_is_refused(tmp_path: Path, cli: Callable[..., CliResult]) -> None:
    result = cli("audit", _write_bin(tmp_path, _script()))
    assert_refused(result)
    assert "TorchScript" in result.err


def test_a_pickle_of_before_torch_1_6_is_read(tmp_path: Path) -> None:
    data = _saved(_state(torch.ones(4, 12)), as_zip=False)
    assert audit(_write_bin(tmp_path, data)).n_layers == 1


def test_every_cut_of_a_pickle_is_refused(tmp_path: Path) -> None:
    for as_zip in (True, False):
        data = _saved(_state(torch.ones(4, 12)), as_zip=as_zip)
        for kept in range(0, len(data), 97):
            with pytest.raises(AdapterError, match=r"adapter_model\.bin"):
                audit(_write_bin(tmp_path, data[:kept]))


def test_flipped_bits_of_a_pickle_end_in_an_error_or_a_report(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for as_zip in (True, False):
        good = _saved(_state(torch.ones(4, 12)), as_zip=as_zip)
        for _ in range(150):
            data = bytearray(good)
            data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
            audited(_write_bin(tmp_path, bytes(data)))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(4, 12).to_sparse(),
        torch.ones(4, 12, device="meta"),
        torch.ones(1).expand(4, 10**12),
    ],
    ids=["sparse", "without_data", "expanded"],
)
def test_a_tensor_that_claims_more_than_it_holds_is_refused(
    tmp_path: Path, tensor: torch.Tensor
) -> None:
    with pytest.raises(AdapterError, match=r"lora_A.*a value for each entry"):
        audit(_write_bin(tmp_path, _saved(_state(tensor))))


@pytest.mark.parametrize("part", ["tensor", "pickle"])
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, part: str) -> None:
    size = 2**28
    if part == "tensor":
        data = _compressed(_saved(_state(torch.zeros(4, size // 16))))
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + b"N" * size + b".")
            archive.writestr("archive/version", "3")
        data = buffer.getvalue()
    assert len(data) < size / 100
    result = audit_in_child(_write_bin(tmp_path, data))
    assert (result.code, result.out) == (2, "")
    assert "compressed, as torch never does" in result.err
    assert result.peak_mib < 2 * size / 2**20
