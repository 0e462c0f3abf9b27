"""What module names of real architectures and tools tell of layer and type."""

import pytest

from gradience.core.adapter.module_names import LayerPlace, layer_place, module_type, shared_path

UNET = "down_blocks.0.attentions.1.transformer_blocks.0"
NAMES = [
    ("model.layers.3.self_attn.q_proj", "attn", "model.layers.3", 3),
    ("model.layers.31.mlp.down_proj", "mlp", "model.layers.31", 31),
    ("model.layers.2.mlp.experts.5.w1", "mlp", "model.layers.2", 2),
    ("model.layers.2.mlp.experts.gate_up_proj", "mlp", "model.layers.2", 2),
    ("transformer.h.11.attn.c_proj", "attn", "transformer.h.11", 11),
    ("transformer.h.0.mlp.c_proj", "mlp", "transformer.h.0", 0),
    ("transformer.blocks.3.ffn.up_proj", "mlp", "transformer.blocks.3", 3),
    ("gpt_neox.layers.7.attention.query_key_value", "attn", "gpt_neox.layers.7", 7),
    ("gpt_neox.layers.7.mlp.dense_h_to_4h", "mlp", "gpt_neox.layers.7", 7),
    ("distilbert.transformer.layer.4.attention.q_lin", "attn", "distilbert.transformer.layer.4", 4),
    ("distilbert.transformer.layer.4.ffn.lin1", "mlp", "distilbert.transformer.layer.4", 4),
    ("bert.encoder.layer.1.attention.self.query", "attn", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.attention.output.dense", "attn", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.intermediate.dense", "mlp", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.output.dense", "mlp", "bert.encoder.layer.1", 1),
    ("albert.encoder.albert_layer_groups.0.albert_layers.2.ffn", "mlp",
     "albert.encoder.albert_layer_groups.0.albert_layers.2", 2),
    ("transformer.attentions.4.q_lin", "attn", "transformer.attentions.4", 4),
    ("transformer.ffns.4.lin2", "mlp", "transformer.ffns.4", 4),
    ("encoder.block.2.layer.0.SelfAttention.o", "attn", "encoder.block.2", 2),
    ("encoder.block.2.layer.1.DenseReluDense.wo", "mlp", "encoder.block.2", 2),
    ("decoder.block.3.layer.1.EncDecAttention.q", "attn", "decoder.block.3", 3),
    ("model.decoder.layers.9.encoder_attn.v_proj", "attn", "model.decoder.layers.9", 9),
    ("model.decoder.layers.9.fc1", "mlp", "model.decoder.layers.9", 9),
    ("swin.encoder.layers.2.blocks.5.attention.self.query", "attn",
     "swin.encoder.layers.2.blocks.5", 5),
    ("swin.encoder.layers.2.downsample.reduction", "other", "swin.encoder.layers.2", 2),
    ("stages.1.blocks.2.mlp.fc2", "mlp", "stages.1.blocks.2", 2),
    ("convnext.encoder.stages.3.layers.1.pwconv1", "mlp", "convnext.encoder.stages.3.layers.1", 1),
    ("resnet.encoder.stages.0.layers.2.layer.0.convolution", "other",
     "resnet.encoder.stages.0.layers.2", 2),
    ("segformer.encoder.block.1.3.attention.self.query", "attn", "segformer.encoder.block.1.3", 3),
    ("layer2.1.conv1", "other", "layer2.1", 1),
    ("visual.blocks.5.attn.qkv", "attn", "visual.blocks.5", 5),
    ("visual.transformer.resblocks.6.mlp.c_fc", "mlp", "visual.transformer.resblocks.6", 6),
    (f"unet.{UNET}.attn1.to_q", "attn", f"unet.{UNET}", 0),
    (f"unet.{UNET}.attn2.to_out.0", "attn", f"unet.{UNET}", 0),
    (f"unet.{UNET}.ff.net.0.proj", "mlp", f"unet.{UNET}", 0),
    ("unet.down_blocks.0.attentions.1.proj_in", "other", "unet.down_blocks.0.attentions.1", 1),
    ("unet.mid_block.resnets.1.conv1", "other", "unet.mid_block.resnets.1", 1),
    ("unet.down_blocks.2.downsamplers.0.conv", "other", "unet.down_blocks.2.downsamplers.0", 0),
    ("diffusion_model.input_blocks.4.1.transformer_blocks.2.attn1.to_k", "attn",
     "diffusion_model.input_blocks.4.1.transformer_blocks.2", 2),
    ("transformer.single_transformer_blocks.3.attn.to_q", "attn",
     "transformer.single_transformer_blocks.3", 3),
    ("transformer.single_transformer_blocks.3.proj_mlp", "mlp",
     "transformer.single_transformer_blocks.3", 3),
    ("transformer.transformer_blocks.8.ff_context.net.2", "mlp",
     "transformer.transformer_blocks.8", 8),
    ("text_encoder.text_model.encoder.layers.7.self_attn.k_proj", "attn",
     "text_encoder.text_model.encoder.layers.7", 7),
]  # fmt: skip
KOHYA_NAMES = [
    ("down_blocks_0_attentions_1_transformer_blocks_0", "attn1_to_q", "attn", 0),
    ("down_blocks_0_attentions_1_transformer_blocks_0", "ff_net_0_proj", "mlp", 0),
    ("down_blocks_0_attentions_1", "proj_in", "other", 1),
    ("up_blocks_3_resnets_2", "conv1", "other", 2),
    ("mid_block_attentions_0_transformer_blocks_9", "attn2_to_out_0", "attn", 9),
    ("input_blocks_4_1_transformer_blocks_1", "attn1_to_v", "attn", 1),
    ("double_blocks_5", "img_attn_qkv", "attn", 5),
    ("double_blocks_5", "txt_mlp_2", "mlp", 5),
    ("single_blocks_7", "linear1", "other", 7),
]


@pytest.mark.parametrize(("name", "kind", "layer", "number"), NAMES)
def test_names_tell_type_and_layer(name: str, kind: str, layer: str, number: int) -> None:
    assert module_type(name).value == kind
    assert layer_place(name) == LayerPlace(layer, number)


@pytest.mark.parametrize(("layer", "rest", "kind", "number"), KOHYA_NAMES)
def test_kohyas_underscores_tell_them_too(layer: str, rest: str, kind: str, number: int) -> None:
    name = f"lora_unet_{layer}_{rest}"
    assert module_type(name).value == kind
    assert layer_place(name) == LayerPlace(f"lora_unet_{layer}", number)


@pytest.mark.parametrize(
    ("name", "kind", "layer", "number"),
    [
        ("lora_te1_text_model_encoder_layers_3_mlp_fc1", "mlp",
         "lora_te1_text_model_encoder_layers_3", 3),
        ("lora_te2_text_model_encoder_layers_31_self_attn_q_proj", "attn",
         "lora_te2_text_model_encoder_layers_31", 31),
        ("lora_te3_encoder_block_4_layer_0_SelfAttention_o", "attn", "lora_te3_encoder_block_4", 4),
        ("lora_te3_encoder_block_4_layer_1_DenseReluDense_wo", "mlp",
         "lora_te3_encoder_block_4", 4),
    ],
)  # fmt: skip
def test_kohyas_text_encoders_are_told_apart(name: str, kind: str, layer: str, number: int) -> None:
    assert module_type(name).value == kind
    assert layer_place(name) == LayerPlace(layer, number)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "classifier",
        "classifier.0",
        "lm_head",
        "score.dense",
        "model.embed_tokens",
        "head.2",
        "unet:3",
        "text_encoder:11",
        "unet.time_embedding.linear_1",
        "diffusion_model.time_embed.0",
        "lora_unet_time_embed_0",
        "lora_unet_label_emb_0_0",
        "lora_unet_conv_in",
        "lora_unet_final_layer_linear",
    ],
)
def test_what_lies_outside_any_layer_has_neither_layer_nor_type(name: str) -> None:
    assert layer_place(name) is None
    assert module_type(name).value == "other"


def test_experts_outside_a_layer_are_no_layers() -> None:
    assert layer_place("experts.3.w1") is None
    assert module_type("experts.3.w1").value == "mlp"


def test_a_number_within_a_word_is_no_layer() -> None:
    assert layer_place("conv2d.w1") is None


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("encoder.block.1.q", "decoder.block.1.q"),
        ("model.encoder.layers.1.fc1", "model.decoder.layers.1.fc1"),
        ("stages.0.blocks.1.fc1", "stages.1.blocks.1.fc1"),
        ("lora_te1_text_model_encoder_layers_1_fc1", "lora_te2_text_model_encoder_layers_1_fc1"),
        ("transformer.transformer_blocks.1.x", "transformer.single_transformer_blocks.1.x"),
    ],
)
def test_layers_of_different_stacks_differ_and_have_equal_numbers(one: str, two: str) -> None:
    first, second = layer_place(one), layer_place(two)
    assert first is not None
    assert second is not None
    assert first.name != second.name
    assert first.number == second.number


@pytest.mark.parametrize(
    ("paths", "shared"),
    [([], ()), (["a.b.c", "a.b.d"], ("a", "b")), (["a.b", "a.b"], ("a", "b")), (["a", "b"], ())],
)
def test_the_shared_path_is_what_all_begin_with(paths: list[str], shared: tuple[str, ...]) -> None:
    assert shared_path(path.split(".") for path in paths) == shared
