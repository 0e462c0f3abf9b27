"""Decoders with experts, as transformers builds them."""

import pytest

from tests.meta_models import DECODER, Case, Config, assert_described

EXPERTS: Config = DECODER | {"num_local_experts": 4}
QWEN: Config = DECODER | {
    "num_experts": 4, "moe_intermediate_size": 14, "shared_expert_intermediate_size": 18,
}  # fmt: skip
DEEPSEEK: Config = DECODER | {
    "num_attention_heads": 4, "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 12,
    "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10, "n_routed_experts": 8,
    "n_shared_experts": 2, "moe_intermediate_size": 14,
}  # fmt: skip
GPT_OSS: Config = EXPERTS | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
HEADS = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "Model")

CASES = [
    *(Case(f"Mixtral{head}", EXPERTS) for head in (*HEADS, "ForQuestionAnswering")),
    *(Case(f"Qwen2Moe{head}", QWEN) for head in (*HEADS, "ForQuestionAnswering")),
    *(Case(f"Qwen3Moe{head}", QWEN) for head in (*HEADS, "ForQuestionAnswering")),
    *(Case(f"GptOss{head}", GPT_OSS) for head in HEADS),
    *(Case(f"DeepseekV3{head}", DEEPSEEK) for head in HEADS),
    Case("DeepseekV2ForCausalLM", DEEPSEEK),
    Case("DeepseekV2ForSequenceClassification", DEEPSEEK),
    Case("DeepseekV2Model", DEEPSEEK),
    Case("DeepseekV2ForCausalLM", DEEPSEEK | {"q_lora_rank": None}),
    Case("DeepseekV3ForCausalLM", DEEPSEEK | {"q_lora_rank": None, "attention_bias": True}),
    Case("DeepseekV3ForCausalLM", DEEPSEEK | {"first_k_dense_replace": 9}),
    Case("Qwen2MoeForCausalLM", QWEN | {"decoder_sparse_step": 2}),
    Case("Qwen2MoeForCausalLM", QWEN | {"qkv_bias": False, "mlp_only_layers": [1]}),
    Case("Qwen3MoeForCausalLM", QWEN | {"mlp_only_layers": [0], "attention_bias": True}),
    Case("Qwen3MoeForCausalLM", QWEN | {"head_dim": 8, "decoder_sparse_step": 3}),
    Case("MixtralForCausalLM", EXPERTS | {"head_dim": 8, "tie_word_embeddings": True}),
    Case("GptOssForCausalLM", GPT_OSS | {"attention_bias": False, "head_dim": 6}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)
