"""A checkpoint's files: found, named when damaged, told apart by what they hold."""

import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from gradience.core.errors import BaseModelError
from gradience.shell.checkpoint import Checkpoint

ONES = np.ones((2, 3), np.float32)


def save(path: Path, *names: str, value: float = 1.0) -> Path:
    """A safetensors file of constant tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict.fromkeys(names, value * ONES), path)
    return path


def index(path: Path, weight_map: object) -> None:
    """An index file."""
    path.write_text(json.dumps({"weight_map": weight_map}))


def names(folder: Path) -> set[str]:
    """The tensors of a checkpoint."""
    return {tensor.name for tensor in Checkpoint(str(folder)).tensors}


@pytest.mark.parametrize("stem", ["model", "diffusion_pytorch_model", "other"])
def test_the_shards_of_an_index_are_read(tmp_path: Path, stem: str) -> None:
    save(tmp_path / f"{stem}-00001-of-00002.safetensors", "a", "b")
    save(tmp_path / f"{stem}-00002-of-00002.safetensors", "c")
    save(tmp_path / "consolidated.safetensors", "layers.0.wq")
    shards = {"a": f"{stem}-00001-of-00002.safetensors", "c": f"{stem}-00002-of-00002.safetensors"}
    index(tmp_path / f"{stem}.safetensors.index.json", shards)
    assert names(tmp_path) == {"a", "b", "c"}


@pytest.mark.parametrize("stem", ["model", "diffusion_pytorch_model"])
def test_the_usual_name_goes_before_others(tmp_path: Path, stem: str) -> None:
    save(tmp_path / f"{stem}.safetensors", "a")
    save(tmp_path / "consolidated.safetensors", "b")
    assert names(tmp_path) == {"a"}


def test_plain_shards_without_an_index_are_all_read_but_an_adapter(tmp_path: Path) -> None:
    save(tmp_path / "one.safetensors", "a")
    save(tmp_path / "two.safetensors", "b")
    save(tmp_path / "adapter_model.safetensors", "c")
    assert names(tmp_path) == {"a", "b"}


def test_views_keep_their_dtype_and_are_not_writable(tmp_path: Path) -> None:
    values = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    save_file({"a": values}, tmp_path / "model.safetensors")
    found = Checkpoint(str(tmp_path)).array("a")
    assert found.dtype == values.dtype
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, values)


def test_a_tensor_of_a_type_without_numbers_is_named(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F4", "shape": [2, 2], "data_offsets": [0, 2]}}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\0\0"
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(BaseModelError, match=r"model\.safetensors: tensor a: cannot read"):
        Checkpoint(str(tmp_path)).array("a")


def test_facts_are_read_from_the_configs(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "a")
    assert Checkpoint(str(tmp_path)).facts.model_type is None
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "quantize_config.json").write_text('{"bits": 4}')
    facts = Checkpoint(str(tmp_path)).facts
    assert (facts.model_type, facts.quantization["bits"]) == ("llama", 4)


def test_a_damaged_config_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "a")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BaseModelError, match=r"config\.json: expected JSON"):
        Checkpoint(str(tmp_path))


def test_a_folder_of_pickles_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(BaseModelError, match=r"found no safetensors.*save_pretrained"):
        Checkpoint(str(tmp_path))


def test_a_pipelines_folders_are_named(tmp_path: Path) -> None:
    save(tmp_path / "unet" / "diffusion_pytorch_model.safetensors", "a")
    save(tmp_path / "text_encoder" / "model.safetensors", "b")
    with pytest.raises(BaseModelError, match="one of its folders text_encoder, unet"):
        Checkpoint(str(tmp_path))


@pytest.mark.parametrize("source", ["./nothing", "/nothing/here", "a/b/c"])
def test_a_path_to_nothing_is_refused(source: str) -> None:
    with pytest.raises(BaseModelError, match="found nothing"):
        Checkpoint(source)


def test_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="found a file"):
        Checkpoint(str(save(tmp_path / "model.safetensors", "a")))


def test_a_model_that_is_not_in_the_local_cache_is_not_downloaded() -> None:
    with pytest.raises(BaseModelError, match="downloads nothing"):
        Checkpoint("nobody/no-such-model")


@pytest.mark.parametrize("text", ["{}", "[", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_a_damaged_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(BaseModelError, match="weight_map"):
        Checkpoint(str(tmp_path))


def test_a_missing_or_damaged_shard_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "first.safetensors", "a")
    index(
        tmp_path / "model.safetensors.index.json",
        {"a": "first.safetensors", "b": "second.safetensors"},
    )
    with pytest.raises(BaseModelError, match=r"second\.safetensors: cannot read the shard"):
        Checkpoint(str(tmp_path))
    (tmp_path / "second.safetensors").write_bytes(b"garbage")
    with pytest.raises(BaseModelError, match=r"second\.safetensors: cannot read the shard"):
        Checkpoint(str(tmp_path))


def test_identities_tell_files_apart_by_header_size_and_time(tmp_path: Path) -> None:
    path = save(tmp_path / "one" / "model.safetensors", "a")
    os.utime(path, ns=(1, 1))
    first = Checkpoint(str(tmp_path / "one")).identity("a")
    assert Checkpoint(str(tmp_path / "one")).identity("a") == first
    os.utime(path, ns=(2, 2))
    later = Checkpoint(str(tmp_path / "one")).identity("a")
    renamed = save(tmp_path / "two" / "model.safetensors", "b")
    os.utime(renamed, ns=(1, 1))
    assert len({first, later, Checkpoint(str(tmp_path / "two")).identity("b")}) == 3


def test_in_the_hub_cache_the_blob_is_the_identity(tmp_path: Path) -> None:
    blob = save(tmp_path / "blobs" / "0a1b2c", "a")
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    assert Checkpoint(str(snapshot)).identity("a") == "0a1b2c"
