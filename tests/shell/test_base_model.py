"""Base weights from a real checkpoint of a tiny model: norms, names, shards, the cache."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from gradience.core.dominance.ratios import BaseNorms
from gradience.shell import base_model
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
    monkeypatch.setattr(base_model, "assemble", None)
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


def test_a_damaged_cache_is_said_and_its_norms_computed_anew(tmp_path: Path) -> None:
    weight = _save_weight(tmp_path)
    cache = tmp_path / "norms.json"
    cache.write_bytes(b"{")
    base = BaseModel(str(tmp_path), cache)
    assert "computed anew" in str(base.cache_problem)
    assert base.norms(Q_PROJ, SHAPE) == pytest.approx(_dense(weight), rel=1e-4)
    base.save_cache()
    assert BaseModel(str(tmp_path), cache).cache_problem is None


def test_slices_of_one_tensor_have_norms_of_their_own_in_the_cache(tmp_path: Path) -> None:
    fused = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    save_file({"h.0.attn.qkv.weight": fused.reshape(48, 16)}, tmp_path / "model.safetensors")
    base = BaseModel(str(tmp_path))
    for _ in range(2):
        for leaf, part in zip(("q", "k", "v"), fused, strict=True):
            found = base.norms(f"h.0.attn.{leaf}_proj", SHAPE)
            assert found == pytest.approx(_dense(part), rel=1e-4)


def test_the_weight_itself_is_given_as_stored(tmp_path: Path) -> None:
    weight = _save_weight(tmp_path)
    base = BaseModel(str(tmp_path))
    found = base.weight(Q_PROJ, SHAPE)
    np.testing.assert_array_equal(found, weight)
    assert (
        base.weight("model.layers.9.up_proj", SHAPE) == "no weight of that name in the checkpoint"
    )


def test_replicated_layers_are_read_from_their_sources(tmp_path: Path) -> None:
    weight = _save_weight(tmp_path)
    base = BaseModel(str(tmp_path), layer_replication=((0, 1), (0, 1)))
    np.testing.assert_array_equal(base.weight(Q_PROJ.replace("0", "1"), SHAPE), weight)
    assert "makes no layer" in str(base.norms(Q_PROJ.replace("0", "2"), SHAPE))


def test_an_expert_of_a_stack_is_measured(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    save_file({"layers.0.experts.down_proj": stack}, tmp_path / "model.safetensors")
    base = BaseModel(str(tmp_path))
    found = base.norms("layers.0.experts", SHAPE, parameter="down_proj", expert=1)
    assert found == pytest.approx(_dense(stack[1]), rel=1e-4)


def test_an_8_bit_weight_is_dequantised_and_its_scheme_named(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(-127, 128, SHAPE).astype(np.int8)
    scales = generator.uniform(1, 2, 16).astype(np.float32)
    tensors: dict[str, NDArray[Any]] = {f"{Q_PROJ}.weight": codes, f"{Q_PROJ}.SCB": scales}
    save_file(
        {**tensors, "lm_head.weight": np.ones((3, 16), np.float32)}, tmp_path / "m.safetensors"
    )
    base = BaseModel(str(tmp_path))
    assert base.schemes == frozenset()
    assert isinstance(base.norms("lm_head", (3, 16)), BaseNorms)
    assert base.schemes == frozenset()
    expected = (codes * scales[:, None] / 127).astype(np.float32)
    assert base.norms(Q_PROJ, SHAPE) == pytest.approx(_dense(expected), rel=1e-4)
    assert len(base.schemes) == 1
    assert "8" in "".join(base.schemes)


def test_shards_are_not_read_into_private_memory(tmp_path: Path) -> None:
    weight = _save_weight(tmp_path)
    found = BaseModel(str(tmp_path)).weight(Q_PROJ, SHAPE)
    assert not isinstance(found, str)
    assert not found.flags.owndata
    np.testing.assert_array_equal(found, weight)
