"""What module names of real architectures tell of layer and type."""

import pytest

from gradience.core.adapter.module_names import LayerPlace, layer_place, module_type

NAMES = [
    ("model.layers.3.self_attn.q_proj", "attn", "model.layers.3", 3),
    ("model.layers.31.mlp.down_proj", "mlp", "model.layers.31", 31),
    ("model.layers.2.mlp.experts.5.w1", "mlp", "model.layers.2", 2),
    ("transformer.h.11.attn.c_proj", "attn", "transformer.h.11", 11),
    ("transformer.h.0.mlp.c_proj", "mlp", "transformer.h.0", 0),
    ("gpt_neox.layers.7.attention.query_key_value", "attn", "gpt_neox.layers.7", 7),
    ("gpt_neox.layers.7.mlp.dense_h_to_4h", "mlp", "gpt_neox.layers.7", 7),
    ("distilbert.transformer.layer.4.attention.q_lin", "attn", "distilbert.transformer.layer.4", 4),
    ("distilbert.transformer.layer.4.ffn.lin1", "mlp", "distilbert.transformer.layer.4", 4),
    ("bert.encoder.layer.1.attention.self.query", "attn", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.attention.output.dense", "attn", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.intermediate.dense", "mlp", "bert.encoder.layer.1", 1),
    ("bert.encoder.layer.1.output.dense", "mlp", "bert.encoder.layer.1", 1),
    ("encoder.block.2.layer.0.SelfAttention.o", "attn", "encoder.block.2", 2),
    ("encoder.block.2.layer.1.DenseReluDense.wo", "mlp", "encoder.block.2", 2),
    ("decoder.block.3.layer.1.EncDecAttention.q", "attn", "decoder.block.3", 3),
    ("model.decoder.layers.9.encoder_attn.v_proj", "attn", "model.decoder.layers.9", 9),
    ("model.decoder.layers.9.fc1", "mlp", "model.decoder.layers.9", 9),
    ("stages.1.blocks.2.mlp.fc2", "mlp", "stages.1.blocks.2", 2),
    ("visual.blocks.5.attn.qkv", "attn", "visual.blocks.5", 5),
]


@pytest.mark.parametrize(("name", "kind", "layer", "number"), NAMES)
def test_names_tell_type_and_layer(name: str, kind: str, layer: str, number: int) -> None:
    assert module_type(name).value == kind
    assert layer_place(name) == LayerPlace(layer, number)


@pytest.mark.parametrize("name", ["classifier", "lm_head", "score.dense", "model.embed_tokens", ""])
def test_heads_and_embeddings_have_neither_layer_nor_type(name: str) -> None:
    assert layer_place(name) is None
    assert module_type(name).value == "other"


def test_a_number_within_a_word_is_no_layer() -> None:
    assert layer_place("conv2d.w1") is None


def test_layers_of_encoder_and_decoder_differ() -> None:
    encoder, decoder = layer_place("encoder.block.1.q"), layer_place("decoder.block.1.q")
    assert encoder is not None
    assert decoder is not None
    assert encoder.name != decoder.name
    assert encoder.number == decoder.number


def test_stages_with_equal_block_numbers_differ() -> None:
    assert layer_place("stages.0.blocks.1.fc1") != layer_place("stages.1.blocks.1.fc1")
