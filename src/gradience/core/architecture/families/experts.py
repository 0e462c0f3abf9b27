"""Decoders with mixtures of experts, whose weights transformers 5 stacks.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from functools import partial

from gradience.core.architecture.families.decoders import (
    ALWAYS,
    ATTENTION,
    EMBEDDING,
    HEAD_NORMS,
    NEVER,
    NORM,
    TWO_NORMS,
    decoder_sizes,
)
from gradience.core.architecture.families.family import Family
from gradience.core.architecture.families.heads import (
    DECODER_HEADS,
    HEADS_ON_MODEL,
    some_heads,
)
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

EXPERTS = """
@layers.{sparse}.mlp.gate params weight=experts,hidden
@layers.{sparse}.mlp.experts params gate_up_proj=experts,two_expert,hidden
@layers.{sparse}.mlp.experts params down_proj=experts,hidden,expert
"""
DENSE_MLP = """
@layers.{dense}.mlp.gate_proj linear hidden mlp
@layers.{dense}.mlp.up_proj linear hidden mlp
@layers.{dense}.mlp.down_proj linear mlp hidden
"""
MIXTRAL = EMBEDDING + ATTENTION + EXPERTS + TWO_NORMS + NORM
QWEN3_MOE = MIXTRAL + DENSE_MLP + HEAD_NORMS
QWEN2_MOE = f"""{MIXTRAL}{DENSE_MLP}
@layers.{{sparse}}.mlp.shared_expert.gate_proj linear hidden shared_expert
@layers.{{sparse}}.mlp.shared_expert.up_proj linear hidden shared_expert
@layers.{{sparse}}.mlp.shared_expert.down_proj linear shared_expert hidden
@layers.{{sparse}}.mlp.shared_expert_gate linear hidden 1
"""
DEEPSEEK = f"""{EMBEDDING}{EXPERTS}{DENSE_MLP}{TWO_NORMS}{NORM}
[q_rank] @layers.{{layers}}.self_attn.q_a_proj linear?qkv_bias hidden q_rank
[q_rank] @layers.{{layers}}.self_attn.q_a_layernorm rms q_rank
[q_rank] @layers.{{layers}}.self_attn.q_b_proj linear q_rank q
[!q_rank] @layers.{{layers}}.self_attn.q_proj linear hidden q
@layers.{{layers}}.self_attn.kv_a_proj_with_mqa linear?qkv_bias hidden kv_down
@layers.{{layers}}.self_attn.kv_a_layernorm rms kv_rank
@layers.{{layers}}.self_attn.kv_b_proj linear kv_rank kv_up
@layers.{{layers}}.self_attn.o_proj linear?o_bias values hidden
@layers.{{sparse}}.mlp.shared_experts.gate_proj linear hidden shared_expert
@layers.{{sparse}}.mlp.shared_experts.up_proj linear hidden shared_expert
@layers.{{sparse}}.mlp.shared_experts.down_proj linear shared_expert hidden
"""
GPT_OSS = f"""{EMBEDDING}{ATTENTION}{TWO_NORMS}{NORM}
@layers.{{layers}}.self_attn params sinks=heads
@layers.{{layers}}.mlp.router params weight=experts,hidden bias=experts
@layers.{{layers}}.mlp.experts params gate_up_proj=experts,hidden,two_expert transposed
@layers.{{layers}}.mlp.experts params gate_up_proj_bias=experts,two_expert
@layers.{{layers}}.mlp.experts params down_proj=experts,expert,hidden
@layers.{{layers}}.mlp.experts params down_proj_bias=experts,hidden
"""


def _experts(count: int, width: int) -> dict[str, int]:
    return {"experts": count, "expert": width, "two_expert": 2 * width}


def _mixtral_sizes(settings: Settings) -> Sizes:
    sizes = decoder_sizes(settings, kv_heads=8, qkv_bias=NEVER, o_bias=NEVER)
    count = settings.size("num_local_experts", "num_experts")
    every = tuple(range(settings.layers("num_hidden_layers")))
    return {**sizes, **_experts(count, settings.size("intermediate_size")), "sparse": every}


def _qwen_moe_sizes(settings: Settings, *, second: bool) -> Sizes:
    """Which layers are sparse: every ``decoder_sparse_step``-th, but for ``mlp_only_layers``."""
    layers = settings.layers("num_hidden_layers")
    count = settings.size("num_experts", "num_local_experts", "n_routed_experts")
    step, dense_ones = (
        settings.size("decoder_sparse_step", default=1),
        settings.sizes("mlp_only_layers"),
    )
    sparse = tuple(
        number
        for number in range(layers)
        if count and step and number not in dense_ones and (number + 1) % step == 0
    )
    has_bias = second and settings.flag("qkv_bias", default=True)
    sizes = (
        decoder_sizes(settings, qkv_bias=ALWAYS if has_bias else NEVER, o_bias=NEVER)
        if second
        else decoder_sizes(settings, kv_heads=4)
    )
    return {
        **sizes,
        **_experts(count, settings.size("moe_intermediate_size")),
        "shared_expert": settings.size("shared_expert_intermediate_size") if second else 0,
        "sparse": sparse,
        "dense": tuple(number for number in range(layers) if number not in sparse),
    }


def _deepseek_sizes(settings: Settings, *, q_rank: int) -> Sizes:
    layers, heads = settings.layers("num_hidden_layers"), settings.size("num_attention_heads")
    dense = min(settings.size("first_k_dense_replace"), layers)
    expert = settings.size("moe_intermediate_size")
    kv_rank = settings.size("kv_lora_rank")
    rope, value = settings.size("qk_rope_head_dim"), settings.size("v_head_dim")
    plain = settings.size("qk_nope_head_dim")
    no_q_rank = "q_lora_rank" in settings.values and settings.values["q_lora_rank"] is None
    return {
        **decoder_sizes(settings),
        **_experts(settings.size("n_routed_experts", "num_local_experts"), expert),
        "shared_expert": expert * settings.size("n_shared_experts"),
        "q_rank": 0 if no_q_rank else settings.size("q_lora_rank", default=q_rank),
        "kv_rank": kv_rank, "kv_down": kv_rank + rope, "kv_up": heads * (plain + value),
        "q": heads * (plain + rope), "values": heads * value,
        "dense": dense, "sparse": tuple(range(dense, layers)),
    }  # fmt: skip


def _gpt_oss_sizes(settings: Settings) -> Sizes:
    sizes = decoder_sizes(settings, kv_heads=8, head_dim=64, bias_default=True)
    count = settings.size("num_local_experts", "num_experts")
    return {**sizes, **_experts(count, settings.size("intermediate_size"))}


_NO_QA = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "Model")
_SCORES = ("ForCausalLM", "ForSequenceClassification", "Model")

EXPERT_DECODERS = (
    Family(
        class_names={"mixtral": "Mixtral"},
        prefix="model.",
        body=MIXTRAL,
        sizes=_mixtral_sizes,
        heads=HEADS_ON_MODEL,
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"qwen2_moe": "Qwen2Moe"},
        prefix="model.",
        body=QWEN2_MOE,
        sizes=partial(_qwen_moe_sizes, second=True),
        heads=HEADS_ON_MODEL,
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"qwen3_moe": "Qwen3Moe"},
        prefix="model.",
        body=QWEN3_MOE,
        sizes=partial(_qwen_moe_sizes, second=False),
        heads=DECODER_HEADS,
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"deepseek_v2": "DeepseekV2"},
        prefix="model.",
        body=DEEPSEEK,
        sizes=partial(_deepseek_sizes, q_rank=1536),
        heads=some_heads(*_SCORES),
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"deepseek_v3": "DeepseekV3"},
        prefix="model.",
        body=DEEPSEEK,
        sizes=partial(_deepseek_sizes, q_rank=1536),
        heads=some_heads(*_NO_QA),
        default_head="ForCausalLM",
        tied=False,
    ),
    Family(
        class_names={"gpt_oss": "GptOss"},
        prefix="model.",
        body=GPT_OSS,
        sizes=_gpt_oss_sizes,
        heads=some_heads(*_NO_QA),
        default_head="ForCausalLM",
        tied=False,
    ),
)
"""Families of decoders with experts."""
