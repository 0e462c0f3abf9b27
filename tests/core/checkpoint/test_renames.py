"""Old and new names of the same module become one."""

import pytest

from gradience.core.checkpoint.renames import FAMILIES, canonical_name, families_of

OLD_AND_NEW = [
    ("vit", "vit.encoder.layer.3.attention.attention.query", "vit.layers.3.attention.q_proj"),
    ("vit", "vit.encoder.layer.3.attention.output.dense", "vit.layers.3.attention.o_proj"),
    ("vit", "vit.encoder.layer.3.intermediate.dense", "vit.layers.3.mlp.fc1"),
    ("vit", "vit.encoder.layer.3.output.dense", "vit.layers.3.mlp.fc2"),
    ("llava", "language_model.lm_head", "lm_head"),
    (
        "llava",
        "language_model.model.layers.0.mlp.up_proj",
        "model.language_model.layers.0.mlp.up_proj",
    ),
    (
        "gemma3",
        "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj",
        "model.vision_tower.encoder.layers.0.self_attn.q_proj",
    ),
    ("mistral3", "multi_modal_projector.linear_1", "model.multi_modal_projector.linear_1"),
    ("qwen2_vl", "model.layers.0.mlp.up_proj", "model.language_model.layers.0.mlp.up_proj"),
    ("qwen2_5_vl", "visual.blocks.0.attn.qkv", "model.visual.blocks.0.attn.qkv"),
    ("mixtral", "model.layers.0.block_sparse_moe.gate", "model.layers.0.mlp.gate"),
    ("gpt_neox", "embed_out", "lm_head"),
    ("clip_text_model", "text_model.encoder.layers.0.mlp.fc1", "encoder.layers.0.mlp.fc1"),
    (
        "detr",
        "model.encoder.layers.0.self_attn.out_proj",
        "model.encoder.layers.0.self_attn.o_proj",
    ),
    ("segformer", "segformer.encoder.block.1.2.mlp.dense1", "segformer.stages.1.blocks.2.mlp.fc1"),
    ("nomic_bert", "encoder.layers.0.attn.Wqkv", "layers.0.self_attn.Wqkv"),
]


@pytest.mark.parametrize(("model_type", "old", "new"), OLD_AND_NEW)
def test_the_old_name_becomes_the_new_one_and_the_new_one_stays(
    model_type: str, old: str, new: str
) -> None:
    family = FAMILIES[model_type]
    assert canonical_name(old, family) == new
    assert canonical_name(new, family) == new


def test_a_rule_stops_at_the_end_of_a_component() -> None:
    name = "segformer.encoder.block.0.0.layer_norm_10"
    assert canonical_name(name, FAMILIES["segformer"]).endswith("layer_norm_10")


def test_families_of_a_type_of_another_and_of_none() -> None:
    assert families_of("vit") == (FAMILIES["vit"],)
    assert families_of("llama") == ()
    tried = families_of(None)
    assert FAMILIES["vit"] in tried
    assert FAMILIES["nomic_bert"] not in tried
    assert len(set(tried)) == len(tried)
