"""Layouts of LoRA files are named from their tensors."""

import pytest

from gradience.core.adapter.layouts import layout_name


@pytest.mark.parametrize(
    ("tensor", "layout"),
    [
        ("base_model.model.q.lora_A.weight", "PEFT"),
        ("base_model.model.q.lora_B.default.weight", "PEFT"),
        ("base_model.model.embed.lora_embedding_A", "PEFT, embedding factors alone"),
        ("lora_unet_down_blocks_0.lora_down.weight", "kohya"),
        ("unet.attn.processor.to_q_lora.down.weight", "diffusers"),
        ("unet.to_q.lora.up.weight", "diffusers"),
        ("unet.to_q.lora_linear_layer.up.weight", "diffusers"),
        ("unet:0:up", "cloneofsimo"),
        ("text_encoder:11:down", "cloneofsimo"),
        ("model.layers.1.self_attn.q_proj.lora_a", "mlx-lm"),
        ("lora_te_x.hada_w1_a", "LyCORIS"),
        ("lora_te_x.lokr_w1", "LyCORIS"),
        ("lora_te_x.oft_blocks", "LyCORIS"),
    ],
)
def test_layouts_are_told_by_name(tensor: str, layout: str) -> None:
    assert layout_name(["something.alpha", tensor]).startswith(layout)


def test_an_unknown_layout_shows_its_first_tensors() -> None:
    assert layout_name([f"t{i}" for i in range(9)]).endswith("(tensors: t0, t1, t2, t3)")
    assert "no tensor at all" in layout_name([])
