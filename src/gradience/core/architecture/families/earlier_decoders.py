"""Decoders in GPT-2's manner: learned or no positions, LayerNorm, plain MLP.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from gradience.core.architecture.families.family import Family, Head
from gradience.core.architecture.families.heads import (
    BARE,
    CAUSAL,
    CAUSAL_WITH_BIAS,
    CLASSIFIER,
    QA_OUTPUTS,
    SCORE,
)
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

GPT2 = """
@wte embed vocab hidden input
@wpe embed positions hidden
@h.{layers}.ln_1 norm+ hidden
@h.{layers}.attn.c_attn conv1d+ hidden three_hidden
@h.{layers}.attn.c_proj conv1d+ hidden hidden
@h.{layers}.ln_2 norm+ hidden
@h.{layers}.mlp.c_fc conv1d+ hidden mlp
@h.{layers}.mlp.c_proj conv1d+ mlp hidden
@ln_f norm+ hidden
"""
GPT_NEO = """
@wte embed vocab hidden input
@wpe embed positions hidden
@h.{layers}.ln_1 norm+ hidden
@h.{layers}.attn.attention.k_proj linear hidden hidden
@h.{layers}.attn.attention.v_proj linear hidden hidden
@h.{layers}.attn.attention.q_proj linear hidden hidden
@h.{layers}.attn.attention.out_proj linear+ hidden hidden
@h.{layers}.ln_2 norm+ hidden
@h.{layers}.mlp.c_fc linear+ hidden mlp
@h.{layers}.mlp.c_proj linear+ mlp hidden
@ln_f norm+ hidden
"""
GPTJ = """
@wte embed vocab hidden input
@h.{layers}.ln_1 norm+ hidden
@h.{layers}.attn.k_proj linear hidden hidden
@h.{layers}.attn.v_proj linear hidden hidden
@h.{layers}.attn.q_proj linear hidden hidden
@h.{layers}.attn.out_proj linear hidden hidden
@h.{layers}.mlp.fc_in linear+ hidden mlp
@h.{layers}.mlp.fc_out linear+ mlp hidden
@ln_f norm+ hidden
"""
GPT_NEOX = """
@embed_in embed vocab hidden input
@layers.{layers}.input_layernorm norm+ hidden
@layers.{layers}.post_attention_layernorm norm+ hidden
@layers.{layers}.attention.query_key_value linear?bias hidden three_hidden
@layers.{layers}.attention.dense linear?bias hidden hidden
@layers.{layers}.mlp.dense_h_to_4h linear+ hidden mlp
@layers.{layers}.mlp.dense_4h_to_h linear+ mlp hidden
@final_layer_norm norm+ hidden
"""
OPT = """
@decoder.embed_tokens embed vocab words input
@decoder.embed_positions embed positions hidden
[projects] @decoder.project_out linear hidden words
[projects] @decoder.project_in linear words hidden
[norm_last] @decoder.final_layer_norm norm?affine hidden
@decoder.layers.{layers}.self_attn.k_proj linear?bias hidden hidden
@decoder.layers.{layers}.self_attn.v_proj linear?bias hidden hidden
@decoder.layers.{layers}.self_attn.q_proj linear?bias hidden hidden
@decoder.layers.{layers}.self_attn.out_proj linear?bias hidden hidden
[affine] @decoder.layers.{layers}.self_attn_layer_norm norm+ hidden
@decoder.layers.{layers}.fc1 linear?bias hidden mlp
@decoder.layers.{layers}.fc2 linear?bias mlp hidden
[affine] @decoder.layers.{layers}.final_layer_norm norm+ hidden
"""
BLOOM = """
@word_embeddings embed vocab hidden input
@word_embeddings_layernorm norm+ hidden
@h.{layers}.input_layernorm norm+ hidden
@h.{layers}.self_attention.query_key_value linear+ hidden three_hidden
@h.{layers}.self_attention.dense linear+ hidden hidden
@h.{layers}.post_attention_layernorm norm+ hidden
@h.{layers}.mlp.dense_h_to_4h linear+ hidden mlp
@h.{layers}.mlp.dense_4h_to_h linear+ mlp hidden
@ln_f norm+ hidden
"""
FALCON = """
@word_embeddings embed vocab hidden input
@h.{layers}.self_attention.query_key_value linear?bias hidden qkv
@h.{layers}.self_attention.dense linear?bias hidden hidden
@h.{layers}.mlp.dense_h_to_4h linear?bias hidden mlp
@h.{layers}.mlp.dense_4h_to_h linear?bias mlp hidden
[two_norms] @h.{layers}.ln_attn norm+ hidden
[two_norms] @h.{layers}.ln_mlp norm+ hidden
[!two_norms] @h.{layers}.input_layernorm norm+ hidden
[norm_between] @h.{layers}.post_attention_layernorm norm+ hidden
@ln_f norm+ hidden
"""
MPT = """
@wte embed vocab hidden input
@blocks.{layers}.norm_1 norm hidden
@blocks.{layers}.attn.Wqkv linear hidden three_hidden
@blocks.{layers}.attn.out_proj linear hidden hidden
@blocks.{layers}.norm_2 norm hidden
@blocks.{layers}.ffn.up_proj linear hidden mlp
@blocks.{layers}.ffn.down_proj linear mlp hidden
@norm_f norm hidden
"""
MLP_RATIO = 4
"""Width of these models' MLP over the hidden size, where the config says nothing else."""

OPT_POSITION_OFFSET = 2
"""Rows that OPT's position embedding has beyond ``max_position_embeddings``."""


def _gpt_sizes(settings: Settings) -> Sizes:
    hidden = settings.size("hidden_size", "n_embd", "d_model", "n_embed")
    mlp = settings.size(
        "n_inner", "intermediate_size", "ffn_hidden_size", default=MLP_RATIO * hidden
    )
    layers = settings.layers("num_hidden_layers", "n_layer", "num_layers", "n_layers")
    return {
        "hidden": hidden, "three_hidden": 3 * hidden, "mlp": mlp, "layers": layers,
        "vocab": settings.size("vocab_size"), "labels": settings.labels,
        "bias": int(settings.flag("attention_bias", default=True)),
    }  # fmt: skip


def _positioned_sizes(settings: Settings) -> Sizes:
    positions = settings.size("n_positions", "max_position_embeddings")
    return {**_gpt_sizes(settings), "positions": positions}


def _bloom_sizes(settings: Settings) -> Sizes:
    sizes = _gpt_sizes(settings)
    return {**sizes, "mlp": MLP_RATIO * settings.size("hidden_size", "n_embed")}


def _mpt_sizes(settings: Settings) -> Sizes:
    """The MLP is four times as wide whatever ``expansion_ratio`` says (transformers 5.23)."""
    return {**_gpt_sizes(settings), "mlp": MLP_RATIO * settings.size("d_model", "hidden_size")}


def _opt_sizes(settings: Settings) -> Sizes:
    hidden, words = settings.size("hidden_size"), settings.size("word_embed_proj_dim", default=0)
    before = settings.flag("do_layer_norm_before", default=True)
    removed = settings.flag("_remove_final_layer_norm", default=False)
    positions = settings.size("max_position_embeddings") + OPT_POSITION_OFFSET
    affine = settings.flag("layer_norm_elementwise_affine", default=True)
    return {
        "hidden": hidden, "words": words or hidden, "mlp": settings.size("ffn_dim"),
        "layers": settings.layers("num_hidden_layers"), "positions": positions,
        "vocab": settings.size("vocab_size"), "labels": settings.labels,
        "bias": int(settings.flag("enable_bias", default=True)), "affine": int(affine),
        "projects": int(bool(words) and words != hidden),
        "norm_last": int(before and not removed and affine),
    }  # fmt: skip


def _falcon_sizes(settings: Settings) -> Sizes:
    hidden = settings.size("hidden_size", "n_embed")
    heads = settings.size("num_attention_heads", "n_head")
    width = hidden // max(heads, 1)
    new = settings.flag("new_decoder_architecture", default=False)
    qkv = 3 * hidden
    if new:
        qkv = (2 * settings.size("num_kv_heads", "n_head_kv", default=heads) + heads) * width
    elif settings.flag("multi_query", default=True):
        qkv = hidden + 2 * width
    norms = settings.size("num_ln_in_parallel_attn", default=2 if new else 1)
    parallel = settings.flag("parallel_attn", default=True)
    return {
        **_gpt_sizes(settings),
        "qkv": qkv, "bias": int(settings.flag("bias", default=False)),
        "two_norms": int(new and norms > 1), "norm_between": int(not (new or parallel)),
    }  # fmt: skip


_LM_HEADS = {"ForSequenceClassification": SCORE, "Model": BARE}
_TOKENS = {"ForTokenClassification": CLASSIFIER}

EARLIER_DECODERS = (
    Family(
        class_names={"gpt2": "GPT2"},
        prefix="transformer.",
        body=GPT2,
        sizes=_positioned_sizes,
        heads={
            "LMHeadModel": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="LMHeadModel",
        tied=True,
    ),
    Family(
        class_names={"gpt_neo": "GPTNeo"},
        prefix="transformer.",
        body=GPT_NEO,
        sizes=_positioned_sizes,
        heads={
            "ForCausalLM": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=True,
    ),
    Family(
        class_names={"gptj": "GPTJ"},
        prefix="transformer.",
        body=GPTJ,
        sizes=_gpt_sizes,
        heads={
            "ForCausalLM": CAUSAL_WITH_BIAS,
            **_LM_HEADS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"gpt_neox": "GPTNeoX"},
        prefix="gpt_neox.",
        body=GPT_NEOX,
        sizes=_gpt_sizes,
        heads={
            "ForCausalLM": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"opt": "OPT"},
        prefix="model.",
        body=OPT,
        sizes=_opt_sizes,
        heads={
            "ForCausalLM": Head(modules="lm_head linear words vocab tied output"),
            "ForSequenceClassification": Head(modules="score linear words labels"),
            "ForQuestionAnswering": Head(modules="qa_outputs linear+ words 2"),
            "Model": BARE,
        },
        default_head="ForCausalLM",
        tied=True,
    ),
    Family(
        class_names={"bloom": "Bloom"},
        prefix="transformer.",
        body=BLOOM,
        sizes=_bloom_sizes,
        heads={
            "ForCausalLM": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=True,
    ),
    Family(
        class_names={"falcon": "Falcon"},
        prefix="transformer.",
        body=FALCON,
        sizes=_falcon_sizes,
        heads={
            "ForCausalLM": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=True,
    ),
    Family(
        class_names={"mpt": "Mpt"},
        prefix="transformer.",
        body=MPT,
        sizes=_mpt_sizes,
        heads={
            "ForCausalLM": CAUSAL,
            **_LM_HEADS,
            **_TOKENS,
            "ForQuestionAnswering": QA_OUTPUTS,
        },
        default_head="ForCausalLM",
        tied=True,
    ),
)
"""Families of decoders from before Llama."""
