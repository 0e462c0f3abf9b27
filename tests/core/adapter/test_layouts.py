"""Layouts are told from their tensors' names; what is unknown or declined is said in words."""

import pytest

from gradience.core.adapter.layouts import (
    LAYOUTS,
    NAMES_SHOWN,
    AdapterFile,
    layout_of,
    read_adapter,
)
from gradience.core.adapter.tensors import TensorInfo
from gradience.core.errors import AdapterError, ConfigError, UnsupportedAdapterError
from tests.adapter_files import lora_config


def _file(*names: str, config: dict[str, object] | None = None) -> AdapterFile:
    tensors = tuple(TensorInfo(name, (4, 4), "F32") for name in names)
    return AdapterFile(tensors=tensors, config=config, place="file.safetensors")


@pytest.mark.parametrize(
    ("tensor", "layout"),
    [
        ("base_model.model.q.lora_A.weight", "PEFT"),
        ("base_model.model.q.lora_B.default.weight", "PEFT"),
        ("base_model.model.embed.lora_embedding_A", "PEFT"),
        ("base_model.model.transformer.h.0.c_attn.lora_A.weight", "PEFT"),
        ("lora_unet_down_blocks_0.lora_down.weight", "kohya"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "kohya"),
        ("unet.attn.processor.to_q_lora.down.weight", "diffusers"),
        ("unet.to_q.lora.up.weight", "diffusers"),
        ("unet.to_q.lora_linear_layer.up.weight", "diffusers"),
        ("unet.to_q.lora_A.weight", "diffusers"),
        ("transformer.to_q.lora_B.default.weight", "diffusers"),
        ("text_encoder_2.to_q.lora_B.weight", "diffusers"),
        ("unet:0:up", "cloneofsimo"),
        ("text_encoder:11:down", "cloneofsimo"),
        ("model.layers.1.self_attn.q_proj.lora_a", "mlx-lm"),
    ],
)
def test_layouts_are_told_by_name(tensor: str, layout: str) -> None:
    assert layout_of(["something.alpha", tensor], None) == layout
    assert layout in LAYOUTS


def test_a_peft_config_decides_for_peft() -> None:
    names = ["unet.to_q.lora_A.weight", "unet.to_q.lora_B.weight"]
    assert layout_of(names, lora_config()) == "PEFT"
    assert read_adapter(_file(*names, config=lora_config())).layout == "PEFT"
    assert read_adapter(_file(*names)).layout == "diffusers"


def test_an_unknown_layout_shows_the_names_seen_and_the_layouts_known() -> None:
    with pytest.raises(UnsupportedAdapterError) as caught:
        read_adapter(_file(*(f"t{i}" for i in range(NAMES_SHOWN + 3))))
    message = str(caught.value)
    assert message.startswith(
        "file.safetensors: expected LoRA factors of a known layout, found t0, t1, t2, t3, t4, t5 "
        "and 3 more. Known layouts are "
    )
    for layout, form in LAYOUTS.items():
        assert f"{layout}: {form}" in message


def test_an_empty_file_is_told() -> None:
    with pytest.raises(UnsupportedAdapterError, match="found no tensor at all"):
        read_adapter(_file())


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        ("lora_te_x.hada_w1_a", "LoHa factors"),
        ("lora_te_x.lokr_w1", "LoKr factors"),
        ("lora_te_x.oft_blocks", "OFT blocks"),
        ("lora_te_x.diff", "full-rank differences"),
    ],
)
def test_other_methods_of_diffusion_trainers_are_declined(tensor: str, what: str) -> None:
    with pytest.raises(UnsupportedAdapterError, match=f"found {what}.*Tensors: x.alpha, {tensor}"):
        read_adapter(_file("x.alpha", tensor))


@pytest.mark.parametrize("config", [None, {"r": 4}])
def test_peft_weights_need_their_config(config: dict[str, object] | None) -> None:
    with pytest.raises(AdapterError, match=r"found none with a 'peft_type'.*--adapter-config"):
        read_adapter(_file("base_model.model.q.lora_A.weight", config=config))


def test_a_declined_method_is_declined_whatever_the_names() -> None:
    with pytest.raises(UnsupportedAdapterError, match="LOHA"):
        read_adapter(_file("q.hada_w1_a", config={"peft_type": "LOHA"}))


def test_a_variant_with_another_update_is_declined() -> None:
    config = lora_config(use_qalora=True)
    with pytest.raises(UnsupportedAdapterError, match="use_qalora"):
        read_adapter(_file("base_model.model.q.lora_A.weight", config=config))


def test_a_peft_config_beside_another_layout_does_not_hide_it() -> None:
    names = ["lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight"]
    assert read_adapter(_file(*names, config=lora_config())).layout == "kohya"


def test_mlx_weights_need_their_config() -> None:
    with pytest.raises(ConfigError, match=r"lora_parameters\.scale"):
        read_adapter(_file("q.lora_a", "q.lora_b"))


@pytest.mark.parametrize("name", ["unet:0:up\x1b[31m", "a\nb.lora_A.weight", "\x07"])
def test_a_name_that_could_steer_a_terminal_is_refused(name: str) -> None:
    with pytest.raises(AdapterError, match="expected printable tensor names") as raised:
        read_adapter(_file(name))
    assert "\x1b" not in str(raised.value)
    assert "\n" not in str(raised.value)
