"""Base weights from a real checkpoint of a tiny model: norms, names, shards, the cache."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from gradience.core.dominance.ratios import BaseNorms
from gradience.core.errors import BaseModelError, GradienceError
from gradience.shell.base_model import BaseModel
from tests.adapter_files import Q_PROJ
from tests.tiny_models import tiny_gpt2, tiny_llama

SHAPE = (16, 16)


def _save_weight(folder: Path, seed: int = 0, name: str = Q_PROJ) -> NDArray[np.float32]:
    folder.mkdir(exist_ok=True)
    weight = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    save_file({f"{name}.weight": weight}, folder / "model.safetensors")
    return weight


def _dense(weight: NDArray[np.float32]) -> BaseNorms:
    return BaseNorms(float(np.linalg.norm(weight, 2)), float(np.linalg.norm(weight)))


@pytest.mark.parametrize("max_shard_size", ["1GB", "4KB"])
def test_norms_of_every_llama_weight_are_the_dense_ones(
    tmp_path: Path, max_shard_size: str
) -> None:
    model = tiny_llama()
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (tmp_path / "model.safetensors.index.json").exists() == (max_shard_size == "4KB")
    base = BaseModel(str(tmp_path))
    names = [name for name, _ in model.named_modules() if name.endswith("_proj")]
    assert len(names) == 14
    for name in names:
        weight = model.get_submodule(name).get_parameter("weight").detach().numpy()
        assert base.norms(name, weight.shape) == pytest.approx(_dense(weight), rel=1e-4)


def test_a_transposed_conv1d_weight_is_found(tmp_path: Path) -> None:
    model = tiny_gpt2()
    model.save_pretrained(tmp_path)
    weight = model.get_parameter("transformer.h.1.attn.c_attn.weight").detach().numpy()
    assert weight.shape == (16, 48)
    found = BaseModel(str(tmp_path)).norms("transformer.h.1.attn.c_attn", (48, 16))
    assert found == pytest.approx(_dense(weight), rel=1e-4)


@pytest.mark.parametrize("stored", [Q_PROJ, Q_PROJ.removeprefix("model."), f"causal.{Q_PROJ}"])
def test_bare_and_head_bearing_checkpoints_are_read(tmp_path: Path, stored: str) -> None:
    weight = _save_weight(tmp_path, name=stored)
    assert BaseModel(str(tmp_path)).norms(Q_PROJ, SHAPE) == pytest.approx(_dense(weight), rel=1e-4)


def test_a_wide_head_of_two_rows_is_measured_right(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    save_file({"score.weight": weight}, tmp_path / "model.safetensors")
    found = BaseModel(str(tmp_path)).norms("score", (2, 300))
    assert found == pytest.approx(_dense(weight), rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_dtypes_are_read(tmp_path: Path, dtype: str) -> None:
    weight = np.random.default_rng(0).standard_normal(SHAPE).astype(np.dtype(dtype))
    save_file({f"{Q_PROJ}.weight": weight}, tmp_path / "model.safetensors")
    found = BaseModel(str(tmp_path)).norms(Q_PROJ, SHAPE)
    assert found == pytest.approx(_dense(weight.astype(np.float32)), rel=1e-4)


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (np.ones((3, 3), dtype=np.float32), r"has shape \(3, 3\)"),
        (np.ones(SHAPE, dtype=np.int8), "stored as I8"),
        (np.full(SHAPE, np.nan, dtype=np.float32), "NaN"),
        (np.ones(16, dtype=np.float32), r"has shape \(16,\)"),
    ],
)
def test_weights_that_cannot_be_measured_say_why(
    tmp_path: Path, weight: NDArray[np.float32], reason: str
) -> None:
    save_file({f"{Q_PROJ}.weight": weight}, tmp_path / "model.safetensors")
    found = BaseModel(str(tmp_path)).norms(Q_PROJ, SHAPE)
    assert isinstance(found, str)
    assert re.search(reason, found)


def test_an_unmatched_module_says_so(tmp_path: Path) -> None:
    _save_weight(tmp_path)
    found = BaseModel(str(tmp_path)).norms("model.layers.7.mlp.up_proj", SHAPE)
    assert found == "no weight of that name in the checkpoint"


def test_the_cache_gives_the_same_norms_without_reading_the_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "norms.json"
    _save_weight(tmp_path / "base")
    first = BaseModel(str(tmp_path / "base"), cache)
    norms = first.norms(Q_PROJ, SHAPE)
    first.save_cache()
    second = BaseModel(str(tmp_path / "base"), cache)
    monkeypatch.setattr(second, "_load", None)
    assert second.norms(Q_PROJ, SHAPE) == norms


def test_the_cache_does_not_hide_a_shape_that_does_not_fit(tmp_path: Path) -> None:
    cache = tmp_path / "norms.json"
    _save_weight(tmp_path / "base")
    first = BaseModel(str(tmp_path / "base"), cache)
    first.norms(Q_PROJ, SHAPE)
    first.save_cache()
    wide = (SHAPE[0], SHAPE[1] + 1)
    assert "has shape" in str(BaseModel(str(tmp_path / "base"), cache).norms(Q_PROJ, wide))


def test_another_checkpoint_of_the_same_names_does_not_hit(tmp_path: Path) -> None:
    cache = tmp_path / "norms.json"
    for seed, folder in enumerate(("one", "two")):
        weight = _save_weight(tmp_path / folder, seed)
        base = BaseModel(str(tmp_path / folder), cache)
        assert base.norms(Q_PROJ, SHAPE) == pytest.approx(_dense(weight), rel=1e-4)
        base.save_cache()
    assert len(msgspec.json.decode(cache.read_bytes())["norms"]) == 2


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 1, "norms": {"a": 3}}'])
def test_a_damaged_cache_is_refused_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    _save_weight(tmp_path)
    cache = tmp_path / "norms.json"
    cache.write_bytes(data)
    with pytest.raises(GradienceError, match="Delete it"):
        BaseModel(str(tmp_path), cache)


def test_a_cache_of_another_version_is_not_used(tmp_path: Path) -> None:
    _save_weight(tmp_path)
    cache = tmp_path / "norms.json"
    cache.write_text('{"version": 0, "norms": {}}')
    assert isinstance(BaseModel(str(tmp_path), cache).norms(Q_PROJ, SHAPE), BaseNorms)


def test_nothing_is_written_without_a_new_norm(tmp_path: Path) -> None:
    _save_weight(tmp_path)
    BaseModel(str(tmp_path), tmp_path / "norms.json").save_cache()
    assert not (tmp_path / "norms.json").exists()


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="found no safetensors"):
        BaseModel(str(tmp_path))


@pytest.mark.parametrize("source", ["./nothing", "/nothing/here", "a/b/c"])
def test_a_path_to_nothing_is_refused(source: str) -> None:
    with pytest.raises(BaseModelError, match="found nothing"):
        BaseModel(source)


def test_a_model_that_is_not_in_the_local_cache_is_not_downloaded() -> None:
    with pytest.raises(BaseModelError, match="downloads nothing"):
        BaseModel("nobody/no-such-model")


@pytest.mark.parametrize("text", ["{}", "[", '{"weight_map": 3}'])
def test_a_damaged_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(BaseModelError, match="weight_map"):
        BaseModel(str(tmp_path))


def test_a_missing_or_damaged_shard_is_refused_by_name(tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path, max_shard_size="4KB")
    shard = sorted(tmp_path.glob("*.safetensors"))[2]
    with safe_open(shard, framework="np") as file:
        assert file.keys()
    shard.write_bytes(b"garbage")
    with pytest.raises(BaseModelError, match=shard.name):
        BaseModel(str(tmp_path))
    shard.unlink()
    with pytest.raises(BaseModelError, match=shard.name):
        BaseModel(str(tmp_path))
