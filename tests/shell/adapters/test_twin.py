"""A .bin beside the .safetensors: equal, different in one way each, or of a form not compared."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gradience.api import audit
from gradience.core.audit.report import Finding
from gradience.core.severity import Severity
from gradience.shell.adapters.twin import compare_with_bin
from gradience.shell.adapters.weights import open_weights
from tests.adapter_files import (
    PREFIX,
    Q_PROJ,
    UP_PROJ,
    factors,
    findings_of,
    state_dict,
    write_modules,
)

State = dict[str, torch.Tensor]
B_KEY = f"{PREFIX}{Q_PROJ}.lora_B.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_modules(tmp_path, {Q_PROJ: factors(), UP_PROJ: factors(seed=1)})


@pytest.fixture
def state() -> State:
    arrays = state_dict({Q_PROJ: factors(), UP_PROJ: factors(seed=1)})
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _findings(folder: Path, state: State, *, as_zip: bool = True) -> list[Finding]:
    path = folder / "adapter_model.bin"
    torch.save(state, path, _use_new_zipfile_serialization=as_zip)
    return _compared(folder)


def _compared(folder: Path) -> list[Finding]:
    weights = open_weights(folder / "adapter_model.safetensors")
    return list(compare_with_bin(weights, folder / "adapter_model.bin"))


def test_equal_files_give_no_finding(folder: Path, state: State) -> None:
    assert _findings(folder, state) == []


def test_the_order_of_the_tensors_does_not_matter(folder: Path, state: State) -> None:
    assert _findings(folder, dict(reversed(state.items()))) == []


def test_tensors_that_share_their_memory_are_stored_once(tmp_path: Path) -> None:
    zero = (factors()[0], np.zeros((10, 4), np.float32))
    folder = write_modules(tmp_path, {Q_PROJ: zero, UP_PROJ: zero})
    shared = {s: torch.from_numpy(factor) for s, factor in zip("AB", zero, strict=True)}
    names = state_dict({Q_PROJ: zero, UP_PROJ: zero})
    assert _findings(folder, {name: shared[name[-8]] for name in names}) == []


def test_an_empty_tensor_is_equal_to_itself(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors(r=0)})
    arrays = state_dict({Q_PROJ: factors(r=0)})
    assert _findings(folder, {k: torch.from_numpy(v) for k, v in arrays.items()}) == []


def _change(state: State) -> None:
    state[B_KEY][0, 0] += 1e-3


def _lose(state: State) -> None:
    del state[B_KEY]


def _cast(state: State) -> None:
    state[B_KEY] = state[B_KEY].half()


@pytest.mark.parametrize(("edit", "left"), [(_change, 1), (_lose, 0), (_cast, 1)])
def test_a_tensor_that_differs_is_named(
    folder: Path, state: State, edit: Callable[[State], None], left: int
) -> None:
    edit(state)
    (finding,) = _findings(folder, state)
    assert (finding.code, finding.severity) == ("twin_differs", Severity.WARNING)
    assert finding.modules == (B_KEY,)
    more = "; 1 tensor in adapter_model.bin alone" if left else ""
    assert finding.message.endswith(f": 1 tensor not in it ({B_KEY}){more}")
    assert "delete the stale one" in (finding.remedy or "")


def test_a_tensor_that_only_the_bin_has_is_counted(folder: Path, state: State) -> None:
    state["extra"] = torch.full((3,), 7.0)
    (finding,) = _findings(folder, state)
    assert (finding.code, finding.modules) == ("twin_differs", ())
    assert "1 tensor in adapter_model.bin alone" in finding.message


def _assert_not_compared(found: list[Finding], words: str) -> None:
    (finding,) = found
    assert (finding.code, finding.severity) == ("twin_not_compared", Severity.INFO)
    assert words in finding.message


def test_a_plain_pickle_is_not_compared(folder: Path, state: State) -> None:
    _assert_not_compared(_findings(folder, state, as_zip=False), "not a zip file")


def test_a_compressed_zip_is_not_unpacked(folder: Path) -> None:
    with zipfile.ZipFile(folder / "adapter_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10**6))
    _assert_not_compared(_compared(folder), "compressed, as torch never does")


def test_entries_that_overlap_are_not_read(folder: Path) -> None:
    path = folder / "adapter_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", bytes(10**4))
        entry = archive.infolist()[0]
        archive.filelist.extend([entry] * 50)
    _assert_not_compared(_compared(folder), "larger than the file")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_not_compared(folder: Path, state: State, kept: float) -> None:
    path = folder / "adapter_model.bin"
    torch.save(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    _assert_not_compared(_compared(folder), "not a zip file")


def test_damage_within_an_entry_is_found(folder: Path, state: State) -> None:
    path = folder / "adapter_model.bin"
    torch.save(state, path)
    start = path.read_bytes().index(state[B_KEY].numpy().tobytes())
    data = bytearray(path.read_bytes())
    data[start] ^= 1
    path.write_bytes(bytes(data))
    (finding,) = _compared(folder)
    assert finding.code in {"twin_differs", "twin_not_compared"}


def test_a_tensor_that_cannot_be_read_leaves_the_audit_whole(folder: Path, state: State) -> None:
    torch.save(state, folder / "adapter_model.bin")
    weights = open_weights(folder / "adapter_model.safetensors")
    odd = type(weights)((*weights.tensors, weights.tensors[0]._replace(name="odd")), weights.load)
    _assert_not_compared(list(compare_with_bin(odd, folder / "adapter_model.bin")), "odd")


def test_the_report_has_the_finding(folder: Path, state: State) -> None:
    _change(state)
    torch.save(state, folder / "adapter_model.bin")
    assert findings_of(audit(folder))["twin_differs"].modules == (B_KEY,)


def test_torch_is_not_imported_for_it(folder: Path, state: State) -> None:
    torch.save(state, folder / "adapter_model.bin")
    script = (
        "import sys; from gradience.api import audit; codes = {finding.code for finding in "
        "audit(sys.argv[1]).findings}; print('torch' in sys.modules, 'twin_differs' in codes, "
        "'twin_not_compared' in codes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "False"]
