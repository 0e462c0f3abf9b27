"""How checkpoint keys became module names: transformers' renames, as data.

Since version 5, transformers loads many older checkpoints under new module names, and saves them
under the old ones. The facts are those of ``conversion_mapping.py`` of transformers 5.23.0
(Apache-2.0): per model class or type, the ordered pairs (regular expression over a key, what its
match becomes). Which model types use which is said in :mod:`.renames`. A test compares
this table with the installed transformers, so that drift is seen.
"""

from collections.abc import Mapping

RULES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ViTModel": (
        (r"encoder\.layer\.", "layers."),
        ("attention.query", "q_proj"),
        ("attention.key", "k_proj"),
        ("attention.value", "v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ),
    "BeitModel": (
        (r"encoder\.layer\.", "layers."),
        ("attention.query", "q_proj"),
        ("attention.key", "k_proj"),
        ("attention.value", "v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("encoder.relative_position_bias", "shared_position_bias"),
        (
            "attention.attention.relative_position_bias.relative_position_bias_table",
            "relative_position_bias.relative_position_bias_table",
        ),
    ),
    "Dinov2Model": (
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("mlp.weights_out", "mlp.down_proj"),
    ),
    "SegformerModel": (
        (r"encoder.patch_embeddings.(\d+).", r"stages.\1.patch_embeddings."),
        (r"encoder.block.(\d+).", r"stages.\1.blocks."),
        (r"encoder.layer_norm.(\d+)", r"stages.\1.layer_norm"),
        ("attention.self.query", "attention.q_proj"),
        ("attention.self.key", "attention.k_proj"),
        ("attention.self.value", "attention.v_proj"),
        ("attention.self.sr", "attention.sequence_reduction.sequence_reduction"),
        ("attention.self.layer_norm", "attention.sequence_reduction.layer_norm"),
        ("attention.output.dense", "attention.o_proj"),
        ("mlp.dense1", "mlp.fc1"),
        ("mlp.dense2", "mlp.fc2"),
        ("layer_norm_1", "layernorm_before"),
        ("layer_norm_2", "layernorm_after"),
    ),
    "SegformerForSemanticSegmentation": (
        ("decode_head.linear_c", "decode_head.linear_projections"),
    ),
    "swin": (
        ("attention.self.query", "attention.q_proj"),
        ("attention.self.key", "attention.k_proj"),
        ("attention.self.value", "attention.v_proj"),
        (
            "attention.self.relative_position_bias_table",
            "attention.relative_position_bias.relative_position_bias_table",
        ),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ),
    "llava": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^vision_tower", "model.vision_tower"),
        ("^multi_modal_projector", "model.multi_modal_projector"),
    ),
    "LlavaModel": (("^language_model.model", "language_model"),),
    "llava_next": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^vision_tower", "model.vision_tower"),
        ("^multi_modal_projector", "model.multi_modal_projector"),
        ("^image_newline", "model.image_newline"),
    ),
    "video_llava": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^image_tower", "model.image_tower"),
        ("^video_tower", "model.video_tower"),
        ("^multi_modal_projector", "model.multi_modal_projector"),
    ),
    "VideoLlavaModel": (("^language_model.model", "language_model"),),
    "mllama": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^vision_model", "model.vision_model"),
        ("^multi_modal_projector", "model.multi_modal_projector"),
    ),
    "fuyu": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^vision_embed_tokens", "model.vision_embed_tokens"),
    ),
    "emu3": (
        ("^text_model.lm_head", "lm_head"),
        ("^text_model", "model.text_model"),
        ("^vqmodel", "model.vqmodel"),
    ),
    "Emu3Model": (("^text_model.model", "text_model"),),
    "qwen2_audio": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^audio_tower", "model.audio_tower"),
        ("^multi_modal_projector", "model.multi_modal_projector"),
    ),
    "Qwen2AudioModel": (("^language_model.model", "language_model"),),
    "granite_speech": (
        ("^language_model.lm_head", "lm_head"),
        ("^language_model", "model.language_model"),
        ("^encoder", "model.encoder"),
        ("^projector", "model.projector"),
    ),
    "GraniteSpeechModel": (("^language_model.model", "language_model"),),
    "CLIPVisionModel": ((r"^vision_model\.(.+)", r"\1"),),
    "CLIPTextModel": ((r"^text_model\.(.+)", r"\1"),),
    "Qwen2VLForConditionalGeneration": (
        ("^visual", "model.visual"),
        (r"^model(?!\.(language_model|visual))", "model.language_model"),
    ),
    "Qwen2_5OmniThinkerForConditionalGeneration": (
        (r"^thinker\.(.+)", r"\1"),
        ("^audio_tower", "model.audio_tower"),
        ("^visual", "model.visual"),
        (r"^model(?!\.(language_model|visual|audio_tower))", "model.language_model"),
    ),
    "paddleocr_vl": (
        ("^mlp_AR", "model.projector"),
        ("^visual", "model.visual"),
        (r"^model(?!(\.visual|\.projector|\.language_model))", "model.language_model"),
    ),
    "qwen3_5_text": ((r"^model\.language_model\.(.+)", r"model.\1"),),
    "GPTNeoXForCausalLM": ((r"^embed_out\.", "lm_head."),),
    "mixtral": ((".block_sparse_moe.", ".mlp."),),
    "phimoe": (
        (".block_sparse_moe.", ".mlp."),
        (".gate.weight", ".router.weight"),
    ),
    "granitemoe": (
        (r"block_sparse_moe\.input_linear\.weight", "block_sparse_moe.experts.gate_up_proj"),
        (r"block_sparse_moe\.output_linear\.weight", "block_sparse_moe.experts.down_proj"),
        (r"block_sparse_moe\.router\.layer\.weight", "block_sparse_moe.router.weight"),
    ),
    "aria_text": (
        (r"mlp\.experts\.fc1\.weight", "mlp.experts.gate_up_proj"),
        (r"mlp\.experts\.fc2\.weight", "mlp.experts.down_proj"),
    ),
    "nemotron_h": (("backbone.", "model."),),
    "DetrModel": (
        ("backbone.conv_encoder", "backbone"),
        ("out_proj", "o_proj"),
        (r"layers.(\d+).fc1", r"layers.\1.mlp.fc1"),
        (r"layers.(\d+).fc2", r"layers.\1.mlp.fc2"),
    ),
    "ConditionalDetrModel": (
        ("backbone.conv_encoder", "backbone"),
        ("self_attn.out_proj", "self_attn.o_proj"),
        ("encoder_attn.out_proj", "encoder_attn.o_proj"),
        (r"layers.(\d+).fc1", r"layers.\1.mlp.fc1"),
        (r"layers.(\d+).fc2", r"layers.\1.mlp.fc2"),
        (r"decoder.layers.(\d+).sa_qcontent_proj", r"decoder.layers.\1.self_attn.q_content_proj"),
        (r"decoder.layers.(\d+).sa_qpos_proj", r"decoder.layers.\1.self_attn.q_pos_proj"),
        (r"decoder.layers.(\d+).sa_kcontent_proj", r"decoder.layers.\1.self_attn.k_content_proj"),
        (r"decoder.layers.(\d+).sa_kpos_proj", r"decoder.layers.\1.self_attn.k_pos_proj"),
        (r"decoder.layers.(\d+).sa_v_proj", r"decoder.layers.\1.self_attn.v_proj"),
        (
            r"decoder.layers.(\d+).ca_qcontent_proj",
            r"decoder.layers.\1.encoder_attn.q_content_proj",
        ),
        (r"decoder.layers.(\d+).ca_qpos_proj", r"decoder.layers.\1.encoder_attn.q_pos_proj"),
        (
            r"decoder.layers.(\d+).ca_kcontent_proj",
            r"decoder.layers.\1.encoder_attn.k_content_proj",
        ),
        (r"decoder.layers.(\d+).ca_kpos_proj", r"decoder.layers.\1.encoder_attn.k_pos_proj"),
        (r"decoder.layers.(\d+).ca_v_proj", r"decoder.layers.\1.encoder_attn.v_proj"),
        (
            r"decoder.layers.(\d+).ca_qpos_sine_proj",
            r"decoder.layers.\1.encoder_attn.q_pos_sine_proj",
        ),
    ),
    "rt_detr": (
        ("out_proj", "o_proj"),
        (r"layers.(\d+).fc1", r"layers.\1.mlp.fc1"),
        (r"layers.(\d+).fc2", r"layers.\1.mlp.fc2"),
        (r"encoder.encoder.(\d+).layers", r"encoder.aifi.\1.layers"),
    ),
    "deformable_detr": (
        ("backbone.conv_encoder", "backbone"),
        ("self_attn.out_proj", "self_attn.o_proj"),
        (r"layers.(\d+).fc1", r"layers.\1.mlp.fc1"),
        (r"layers.(\d+).fc2", r"layers.\1.mlp.fc2"),
    ),
    "maskformer": (
        (r"layers.(\d+).fc1", r"layers.\1.mlp.fc1"),
        (r"layers.(\d+).fc2", r"layers.\1.mlp.fc2"),
    ),
    "altclip": ((r"layer\.", "layers."),),
    "nomic_bert": (
        ("encoder.layers", "layers"),
        ("emb_ln", "embeddings.LayerNorm"),
        ("attn.out_proj", "self_attn.o_proj"),
        ("fc11", "up_proj"),
        ("fc12", "gate_proj"),
        ("fc2", "down_proj"),
        ("norm1", "post_attention_layernorm"),
        ("norm2", "post_mlp_layernorm"),
    ),
    "gte": (
        (r"^new\.(.+)", r"\1"),
        ("encoder.layer", "layers"),
        ("attention.o_proj", "self_attn.o_proj"),
        ("attn_ln", "post_attention_layernorm"),
        ("mlp_ln", "post_mlp_layernorm"),
        ("lm_head.norm", "lm_head.layer_norm"),
    ),
    "jina_embeddings_v3": (
        ("emb_ln", "embeddings.LayerNorm"),
        ("encoder.layers", "layers"),
        ("mixer.out_proj", "self_attn.o_proj"),
        ("norm1", "post_attention_layernorm"),
        ("norm2", "post_mlp_layernorm"),
    ),
    "dinov3_vit": ((r"(?<!model\.)layer.", "model.layer."),),
    "legacy": (
        (r"^model\.language_model\.model|^language_model\.model\.model", "model.language_model"),
    ),
}
"""transformers' name of a conversion → its renames, in the order in which they are applied."""
