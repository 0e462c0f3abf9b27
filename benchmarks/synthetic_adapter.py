"""Writes large synthetic PEFT adapters: Llama-3 shapes, all linear layers, bfloat16."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

CONFIG = {"peft_type": "LORA", "lora_alpha": 128, "target_modules": "all-linear"}


class LlamaShape(NamedTuple):
    """What of a Llama-style model decides the sizes of its adapter."""

    layers: int
    hidden: int
    intermediate: int
    key_value: int

    def modules(self) -> Iterator[tuple[str, int, int]]:
        """Name, d_out and d_in of every linear layer outside the head."""
        for layer in range(self.layers):
            path = f"model.layers.{layer}"
            yield f"{path}.self_attn.q_proj", self.hidden, self.hidden
            yield f"{path}.self_attn.k_proj", self.key_value, self.hidden
            yield f"{path}.self_attn.v_proj", self.key_value, self.hidden
            yield f"{path}.self_attn.o_proj", self.hidden, self.hidden
            yield f"{path}.mlp.gate_proj", self.intermediate, self.hidden
            yield f"{path}.mlp.up_proj", self.intermediate, self.hidden
            yield f"{path}.mlp.down_proj", self.hidden, self.intermediate


LLAMA3_8B = LlamaShape(layers=32, hidden=4096, intermediate=14336, key_value=1024)
LLAMA3_70B = LlamaShape(layers=80, hidden=8192, intermediate=28672, key_value=1024)


def write_llama_adapter(folder: Path, shape: LlamaShape, r: int) -> Path:
    """Writes the adapter and returns its folder.

    The values are one block of bfloat16 noise, read from a different offset for every factor:
    no two factors are equal, and 1.7 GB are written in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, "r": r}))
    tensors = [
        (f"base_model.model.{name}.lora_{side}.weight", extent)
        for name, d_out, d_in in shape.modules()
        for side, extent in (("A", (r, d_in)), ("B", (d_out, r)))
    ]
    header: dict[str, object] = {}
    end = 0
    for name, (rows, columns) in tensors:
        start, end = end, end + 2 * rows * columns
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    largest = max(rows * columns for _, (rows, columns) in tensors)
    noise = _bfloat16_noise(largest + len(tensors))
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for offset, (_, (rows, columns)) in enumerate(tensors):
            file.write(noise[offset : offset + rows * columns].data)
    return folder


def _bfloat16_noise(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    values = np.random.default_rng(0).standard_normal(count, dtype=np.float32)
    return (values.view(np.uint32) >> 16).astype(np.uint16)
