"""Writes large synthetic checkpoints in shards: Llama-3 shapes, bfloat16."""

import json
from pathlib import Path

import numpy as np

from benchmarks.synthetic_adapter import LlamaShape

INDEX = "model.safetensors.index.json"


def write_llama_checkpoint(folder: Path, shape: LlamaShape) -> Path:
    """Writes one shard per layer and the index, and returns the folder.

    The values are one block of bfloat16 noise, read from a different offset for every weight: a
    Gaussian matrix, the worst case for the spectral norm, written at the speed of the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    modules = list(shape.modules())
    largest = max(d_out * d_in for _, d_out, d_in in modules)
    values = np.random.default_rng(0).standard_normal(largest + len(modules), dtype=np.float32)
    noise = (values.view(np.uint32) >> 16).astype(np.uint16)
    shards: dict[str, str] = {}
    for layer in range(shape.layers):
        name = f"model-{layer + 1:05}-of-{shape.layers:05}.safetensors"
        weights = {
            f"{module}.weight": (d_out, d_in)
            for module, d_out, d_in in modules
            if f".layers.{layer}." in module
        }
        _write_shard(folder / name, weights, noise, len(shards))
        shards.update(dict.fromkeys(weights, name))
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    return folder


def _write_shard(
    path: Path,
    weights: dict[str, tuple[int, int]],
    noise: np.ndarray[tuple[int], np.dtype[np.uint16]],
    offset: int,
) -> None:
    header: dict[str, object] = {}
    end = 0
    for name, (d_out, d_in) in weights.items():
        start, end = end, end + 2 * d_out * d_in
        header[name] = {"dtype": "BF16", "shape": [d_out, d_in], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for i, (d_out, d_in) in enumerate(weights.values()):
            file.write(noise[offset + i : offset + i + d_out * d_in].data)
