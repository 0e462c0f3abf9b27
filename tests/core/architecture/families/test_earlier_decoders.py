"""Decoders in GPT-2's manner, as transformers builds them."""

import pytest

from tests.meta_models import DECODER, Case, Config, assert_described

GPT: Config = {"vocab_size": 50, "n_embd": 24, "n_layer": 2, "n_head": 6, "n_positions": 30}
NEO: Config = {
    "vocab_size": 50, "hidden_size": 24, "num_layers": 2, "num_heads": 6,
    "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 30,
}  # fmt: skip
OPT: Config = {
    "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "ffn_dim": 40,
    "num_attention_heads": 6, "max_position_embeddings": 30, "word_embed_proj_dim": 24,
}  # fmt: skip
FALCON: Config = {
    "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6,
}  # fmt: skip
BLOOM: Config = {"vocab_size": 50, "hidden_size": 24, "n_layer": 2, "n_head": 6}
MPT: Config = {"vocab_size": 50, "d_model": 24, "n_layers": 2, "n_heads": 6, "max_seq_len": 30}
HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "Model")
NEW_FALCON: Config = FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}

CASES = [
    *(Case(f"GPT2{head}", GPT) for head in ("LMHeadModel", *HEADS)),
    *(Case(f"GPTNeo{head}", NEO) for head in ("ForCausalLM", *HEADS)),
    *(Case(f"GPTNeoX{head}", DECODER) for head in ("ForCausalLM", *HEADS)),
    *(Case(f"Bloom{head}", BLOOM) for head in ("ForCausalLM", *HEADS)),
    *(Case(f"Falcon{head}", FALCON) for head in ("ForCausalLM", *HEADS)),
    *(Case(f"Mpt{head}", MPT) for head in ("ForCausalLM", *HEADS)),
    *(
        Case(f"GPTJ{head}", GPT | {"rotary_dim": 4})
        for head in ("ForCausalLM", "ForSequenceClassification", "ForQuestionAnswering", "Model")
    ),
    *(
        Case(f"OPT{head}", OPT)
        for head in ("ForCausalLM", "ForSequenceClassification", "ForQuestionAnswering", "Model")
    ),
    Case("GPT2LMHeadModel", GPT | {"n_inner": 37}),
    Case("GPTNeoForCausalLM", NEO | {"intermediate_size": 37}),
    Case("GPTNeoXForCausalLM", DECODER | {"attention_bias": False, "tie_word_embeddings": True}),
    Case("GPTJForCausalLM", GPT | {"rotary_dim": 4, "tie_word_embeddings": True}),
    Case("OPTForCausalLM", OPT | {"word_embed_proj_dim": 16}),
    Case("OPTForSequenceClassification", OPT | {"word_embed_proj_dim": 16}),
    Case("OPTForCausalLM", OPT | {"do_layer_norm_before": False}),
    Case("OPTForCausalLM", OPT | {"_remove_final_layer_norm": True, "enable_bias": False}),
    Case("OPTForCausalLM", OPT | {"layer_norm_elementwise_affine": False}),
    Case("FalconForCausalLM", NEW_FALCON),
    Case("FalconForCausalLM", NEW_FALCON | {"num_ln_in_parallel_attn": 1}),
    Case("FalconForCausalLM", FALCON | {"multi_query": False, "bias": True}),
    Case("FalconForCausalLM", FALCON | {"parallel_attn": False, "ffn_hidden_size": 37}),
    Case("MptForCausalLM", MPT | {"expansion_ratio": 3}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)
