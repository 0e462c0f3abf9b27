"""Adapters at an address, on fsspec's memory and local file systems and a Hub that is not there."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from huggingface_hub import HfFileSystem

from gradience.api import audit
from gradience.core.errors import AdapterError, MissingDependencyError
from gradience.shell.adapters.remote import local_adapter
from tests.adapter_files import Q_PROJ, factors, write_modules

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter among files that nobody needs."""
    folder = write_modules(tmp_path / "adapter", {Q_PROJ: factors()})
    for name in ("adapter_model.bin", "optimizer.pt", "README.md", "model.safetensors"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture
def memory(adapter: Path) -> Iterator[str]:
    """The address of a copy of that adapter in memory."""
    files = fsspec.filesystem("memory")
    files.put(str(adapter), "/bucket/adapter", recursive=True)
    yield "memory://bucket/adapter"
    files.rm("/bucket", recursive=True)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The remote paths that are fetched from memory."""
    paths: list[str] = []
    original = MemoryFileSystem.get_file

    def get_file(self: MemoryFileSystem, rpath: str, lpath: str, **options: object) -> None:
        paths.append(rpath)
        original(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    return paths


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_in_memory_gives_the_report_of_its_copy(
    adapter: Path, memory: str, end: str
) -> None:
    remote, local = audit(memory + end), audit(adapter)
    assert remote.peft_dir == memory + end
    assert remote.adapter_config_path == f"{memory}/{CONFIG}"
    assert remote.adapter_weights_path == f"{memory}/{WEIGHTS}"
    assert (remote.gain, remote.stable_rank_mean) == (local.gain, local.stable_rank_mean)


def test_a_single_file_is_read_with_the_config_beside_it(memory: str) -> None:
    report = audit(f"{memory}/{WEIGHTS}")
    assert report.peft_dir == report.adapter_weights_path == f"{memory}/{WEIGHTS}"
    assert report.adapter_config_path == f"{memory}/{CONFIG}"


def test_the_local_file_system_has_addresses_too(adapter: Path) -> None:
    report = audit(f"file://{adapter}")
    assert report.adapter_weights_path == f"file://{adapter}/{WEIGHTS}"
    assert audit(f"file://{adapter / WEIGHTS}").n_layers == 1


@pytest.mark.parametrize("file", ["", f"/{WEIGHTS}"])
def test_only_config_and_weights_are_fetched(memory: str, fetched: list[str], file: str) -> None:
    audit(memory + file)
    assert sorted(fetched) == [f"/bucket/adapter/{CONFIG}", f"/bucket/adapter/{WEIGHTS}"]


def test_the_one_weight_file_of_another_tool_is_found(memory: str, fetched: list[str]) -> None:
    files = fsspec.filesystem("memory")
    for name in (WEIGHTS, "adapter_model.bin"):
        files.rm(f"/bucket/adapter/{name}")
    with local_adapter(memory) as folder:
        assert sorted(path.name for path in folder.iterdir()) == [CONFIG, "model.safetensors"]
    assert len(fetched) == 2


def test_a_local_path_is_given_back_as_it_is() -> None:
    with local_adapter("some/adapter") as place:
        assert place == Path("some/adapter")


@pytest.mark.parametrize("address", ["memory://nowhere", "memory://nowhere/x.safetensors"])
def test_nothing_at_the_address_is_refused(address: str) -> None:
    with pytest.raises(AdapterError, match=rf"^{address}.*FileNotFoundError.*your access"):
        audit(address)


def test_a_folder_without_an_adapter_is_refused() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/plain/notes.txt", b"x")
    with pytest.raises(AdapterError, match=r"^memory://plain: expected adapter_config.*neither"):
        audit("memory://plain")


def test_a_damaged_file_is_named_by_its_address(memory: str) -> None:
    fsspec.filesystem("memory").pipe(f"/bucket/adapter/{WEIGHTS}", b"damaged")
    for address in (memory, f"{memory}/{WEIGHTS}"):
        with pytest.raises(AdapterError, match=rf"^{memory}/{WEIGHTS}: expected a safetensors"):
            audit(address)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"^carrier-pigeon://x.*Protocol not known"):
        audit("carrier-pigeon://x")


def test_fsspec_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match=r"needs fsspec .*gradience\[remote\]"):
        audit("s3://bucket/adapter")


def test_the_package_of_a_protocol_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match=r"^s3://bucket/adapter: .*s3fs"):
        audit("s3://bucket/adapter")


@pytest.mark.parametrize("end", [None, AdapterError])
def test_the_copy_is_gone_afterwards(
    memory: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: type[AdapterError] | None,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    if end is None:
        audit(memory)
    else:
        fsspec.filesystem("memory").pipe(f"/bucket/adapter/{WEIGHTS}", b"damaged")
        with pytest.raises(end):
            audit(memory)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("revision", ["", "@v1.0", "@refs%2Fpr%2F3"])
def test_a_model_on_the_hub_is_fetched_at_its_revision(
    adapter: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    asked: list[str] = []

    def ls(_: HfFileSystem, path: str, *, detail: bool = True, **__: object) -> list[str]:
        assert not detail
        asked.append(path)
        return [f"{path}/{entry.name}" for entry in adapter.iterdir()]

    def get_file(_: HfFileSystem, rpath: str, lpath: str, **__: object) -> None:
        asked.append(rpath)
        shutil.copy(adapter / rpath.rpartition("/")[2], lpath)

    monkeypatch.setattr(HfFileSystem, "ls", ls)
    monkeypatch.setattr(HfFileSystem, "get_file", get_file)
    address = f"hf://owner/name{revision}"
    report = audit(address)
    path = f"owner/name{revision}"
    assert asked == [path, f"{path}/{WEIGHTS}", f"{path}/{CONFIG}"]
    assert (report.peft_dir, report.n_layers) == (address, 1)
    assert report.adapter_config_path == f"{address}/{CONFIG}"
