"""Decoders in Llama's manner: separate or fused projections, gated MLP, RMS norms.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from functools import partial

import attrs

from gradience.core.architecture.families.family import Family
from gradience.core.architecture.families.heads import (
    CAUSAL_WITH_BIAS,
    DECODER_HEADS,
    HEADS_ON_MODEL,
    some_heads,
)
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

EMBEDDING = "@embed_tokens embed vocab hidden input\n"
ATTENTION = """
@layers.{layers}.self_attn.q_proj linear?qkv_bias hidden q
@layers.{layers}.self_attn.k_proj linear?qkv_bias hidden kv
@layers.{layers}.self_attn.v_proj linear?qkv_bias hidden kv
@layers.{layers}.self_attn.o_proj linear?o_bias q hidden
"""
HEAD_NORMS = """
@layers.{layers}.self_attn.q_norm rms head_dim
@layers.{layers}.self_attn.k_norm rms head_dim
"""
GATED_MLP = """
@layers.{layers}.mlp.gate_proj linear?mlp_bias hidden mlp
@layers.{layers}.mlp.up_proj linear?mlp_bias hidden mlp
@layers.{layers}.mlp.down_proj linear?mlp_bias mlp hidden
"""
TWO_NORMS = """
@layers.{layers}.input_layernorm rms hidden
@layers.{layers}.post_attention_layernorm rms hidden
"""
FOUR_NORMS = f"""{TWO_NORMS}
@layers.{{layers}}.pre_feedforward_layernorm rms hidden
@layers.{{layers}}.post_feedforward_layernorm rms hidden
"""
NORM = "@norm rms hidden\n"
LLAMA = EMBEDDING + ATTENTION + GATED_MLP + TWO_NORMS + NORM
GEMMA2 = EMBEDDING + ATTENTION + GATED_MLP + FOUR_NORMS + NORM
GEMMA3 = GEMMA2 + HEAD_NORMS
QWEN3 = LLAMA + HEAD_NORMS
PHI3 = f"""{EMBEDDING}
@layers.{{layers}}.self_attn.qkv_proj linear hidden qkv
@layers.{{layers}}.self_attn.o_proj linear q hidden
@layers.{{layers}}.mlp.gate_up_proj linear hidden two_mlp
@layers.{{layers}}.mlp.down_proj linear mlp hidden
{TWO_NORMS}{NORM}"""
PHI = f"""{EMBEDDING}
@layers.{{layers}}.self_attn.q_proj linear+ hidden q
@layers.{{layers}}.self_attn.k_proj linear+ hidden kv
@layers.{{layers}}.self_attn.v_proj linear+ hidden kv
@layers.{{layers}}.self_attn.dense linear+ q hidden
[qk_layernorm] @layers.{{layers}}.self_attn.q_layernorm norm+ head_dim
[qk_layernorm] @layers.{{layers}}.self_attn.k_layernorm norm+ head_dim
@layers.{{layers}}.mlp.fc1 linear+ hidden mlp
@layers.{{layers}}.mlp.fc2 linear+ mlp hidden
@layers.{{layers}}.input_layernorm norm+ hidden
@final_layernorm norm+ hidden
"""
STABLELM = f"""{EMBEDDING}{ATTENTION}{GATED_MLP}
@layers.{{layers}}.input_layernorm norm+ hidden
[!parallel] @layers.{{layers}}.post_attention_layernorm norm+ hidden
[qk_layernorm] @layers.{{layers}}.self_attn.q_layernorm.norms.{{heads}} norm head_dim
[qk_layernorm] @layers.{{layers}}.self_attn.k_layernorm.norms.{{kv_heads}} norm head_dim
@norm norm+ hidden
"""
STARCODER2 = f"""{EMBEDDING}{ATTENTION}
@layers.{{layers}}.mlp.c_fc linear?mlp_bias hidden mlp
@layers.{{layers}}.mlp.c_proj linear?mlp_bias mlp hidden
@layers.{{layers}}.input_layernorm norm+ hidden
@layers.{{layers}}.post_attention_layernorm norm+ hidden
@norm norm+ hidden
"""
COHERE = f"""{EMBEDDING}{ATTENTION}{GATED_MLP}
[qk_norm] @layers.{{layers}}.self_attn.q_norm rms heads head_dim
[qk_norm] @layers.{{layers}}.self_attn.k_norm rms kv_heads head_dim
@layers.{{layers}}.input_layernorm norm hidden
@norm norm hidden
"""
OLMO = EMBEDDING + ATTENTION + GATED_MLP
OLMO2 = f"""{EMBEDDING}{ATTENTION}{GATED_MLP}
@layers.{{layers}}.self_attn.q_norm rms q
@layers.{{layers}}.self_attn.k_norm rms kv
@layers.{{layers}}.post_attention_layernorm rms hidden
@layers.{{layers}}.post_feedforward_layernorm rms hidden
{NORM}"""


ALWAYS, NEVER = "always", ""
"""Stand, among the names of settings, for a bias that does not depend on one."""


def decoder_sizes(
    settings: Settings,
    *,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    qkv_bias: str = "attention_bias",
    o_bias: str = "attention_bias",
    mlp_bias: str = "mlp_bias",
    bias_default: bool = False,
) -> Sizes:
    """The sizes that these templates name.

    Args:
        settings: The model's config.json.
        kv_heads: The model type's default of ``num_key_value_heads``; None for as many as heads.
        head_dim: Its default of ``head_dim``; None for hidden_size / heads.
        qkv_bias: The setting that gives q, k and v a bias, ``ALWAYS``, or nothing.
        o_bias: The same of the output projection.
        mlp_bias: The same of the MLP.
        bias_default: What those settings are where they are absent.

    Raises:
        ConfigError: A size is absent or no whole number.
    """
    hidden, heads = settings.size("hidden_size"), settings.size("num_attention_heads")
    kv = settings.size("num_key_value_heads", default=kv_heads or heads)
    width = settings.size("head_dim", default=head_dim or hidden // max(heads, 1))
    mlp = settings.size("intermediate_size")

    def bias(said: str) -> int:
        return int(said == ALWAYS or (bool(said) and settings.flag(said, default=bias_default)))

    return {
        "hidden": hidden, "vocab": settings.size("vocab_size"), "labels": settings.labels,
        "layers": settings.layers("num_hidden_layers"), "heads": heads, "kv_heads": kv,
        "head_dim": width, "q": heads * width, "kv": kv * width, "qkv": (heads + 2 * kv) * width,
        "mlp": mlp, "two_mlp": 2 * mlp,
        "qkv_bias": bias(qkv_bias), "o_bias": bias(o_bias), "mlp_bias": bias(mlp_bias),
        "qk_norm": int(settings.flag("use_qk_norm", default=False)),
        "qk_layernorm": int(settings.flag("qk_layernorm", default=False)),
        "parallel": int(settings.flag("use_parallel_residual", default=False)),
    }  # fmt: skip


_UNBIASED = partial(decoder_sizes, qkv_bias=NEVER, o_bias=NEVER, mlp_bias=NEVER)


def _decoder(
    class_names: dict[str, str],
    body: str = LLAMA,
    *,
    sizes: partial[Sizes] = partial(decoder_sizes),  # noqa: B008  immutable
    heads: tuple[str, ...] = tuple(DECODER_HEADS),
    tied: bool = False,
) -> Family:
    return Family(
        class_names=class_names,
        prefix="model.",
        body=body,
        sizes=sizes,
        heads=some_heads(*heads),
        default_head="ForCausalLM",
        tied=tied,
    )


_NO_QA = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "Model")
_SCORE_ONLY = ("ForCausalLM", "ForSequenceClassification", "Model")
_LM_ONLY = ("ForCausalLM", "Model")
_ATTENTION_ONLY_BIAS = partial(decoder_sizes, mlp_bias=NEVER)

DECODERS = (
    _decoder({"llama": "Llama"}),
    attrs.evolve(
        _decoder({"mistral": "Mistral"}, sizes=partial(_UNBIASED, kv_heads=8)),
        heads=HEADS_ON_MODEL,
    ),
    _decoder(
        {"qwen2": "Qwen2"},
        sizes=partial(decoder_sizes, qkv_bias=ALWAYS, o_bias=NEVER, mlp_bias=NEVER),
    ),
    _decoder({"qwen3": "Qwen3"}, QWEN3, sizes=partial(_ATTENTION_ONLY_BIAS, head_dim=128)),
    _decoder(
        {"gemma": "Gemma"},
        sizes=partial(_ATTENTION_ONLY_BIAS, kv_heads=16, head_dim=256),
        heads=_NO_QA,
        tied=True,
    ),
    _decoder(
        {"gemma2": "Gemma2"},
        GEMMA2,
        sizes=partial(_ATTENTION_ONLY_BIAS, kv_heads=4, head_dim=256),
        heads=_NO_QA,
        tied=True,
    ),
    attrs.evolve(
        _decoder({"phi": "Phi"}, PHI, sizes=_UNBIASED),
        heads=some_heads(*_NO_QA) | {"ForCausalLM": CAUSAL_WITH_BIAS},
    ),
    _decoder({"phi3": "Phi3"}, PHI3, sizes=_UNBIASED, heads=_NO_QA),
    _decoder(
        {"stablelm": "StableLm"},
        STABLELM,
        sizes=partial(decoder_sizes, qkv_bias="use_qkv_bias", o_bias=NEVER, mlp_bias=NEVER),
        heads=_NO_QA,
    ),
    _decoder(
        {"starcoder2": "Starcoder2"},
        STARCODER2,
        sizes=partial(
            decoder_sizes,
            kv_heads=2,
            qkv_bias="use_bias",
            o_bias="use_bias",
            mlp_bias="use_bias",
            bias_default=True,
        ),
        heads=_NO_QA,
        tied=True,
    ),
    _decoder(
        {"cohere": "Cohere", "cohere2": "Cohere2"},
        COHERE,
        sizes=_ATTENTION_ONLY_BIAS,
        heads=_LM_ONLY,
        tied=True,
    ),
    _decoder({"olmo": "Olmo"}, OLMO, sizes=_ATTENTION_ONLY_BIAS, heads=_LM_ONLY),
    _decoder({"olmo2": "Olmo2"}, OLMO2, sizes=_ATTENTION_ONLY_BIAS, heads=_LM_ONLY),
    _decoder({"smollm3": "SmolLM3"}, sizes=partial(decoder_sizes, kv_heads=4), tied=True),
    _decoder({"granite": "Granite"}, heads=_LM_ONLY),
)
"""Families of dense decoders."""

GEMMA3_TEXT_SIZES = partial(_ATTENTION_ONLY_BIAS, kv_heads=4, head_dim=256)
