"""What PEFT adapts where nothing is said, and the heads that it trains whole."""

from collections.abc import Mapping

DEFAULT_TARGETS: Mapping[str, tuple[str, ...] | str] = {
    "t5": ("q", "v"), "mt5": ("q", "v"), "bart": ("q_proj", "v_proj"), "gpt2": ("c_attn",),
    "bloom": ("query_key_value",), "blip-2": ("q", "v", "q_proj", "v_proj"),
    "opt": ("q_proj", "v_proj"), "gptj": ("q_proj", "v_proj"), "gpt_neox": ("query_key_value",),
    "gpt_neo": ("q_proj", "v_proj"), "bert": ("query", "value"), "roberta": ("query", "value"),
    "xlm-roberta": ("query", "value"), "electra": ("query", "value"),
    "deberta-v2": ("query_proj", "value_proj"), "deberta": ("in_proj",),
    "layoutlm": ("query", "value"), "llama": ("q_proj", "v_proj"), "llama4": ("q_proj", "v_proj"),
    "chatglm": ("query_key_value",), "gpt_bigcode": ("c_attn",), "mpt": ("Wqkv",),
    "RefinedWebModel": ("query_key_value",), "RefinedWeb": ("query_key_value",),
    "falcon": ("query_key_value",), "btlm": ("c_proj", "c_attn"), "codegen": ("qkv_proj",),
    "mistral": ("q_proj", "v_proj"), "mixtral": ("q_proj", "v_proj"),
    "stablelm": ("q_proj", "v_proj"), "phi": ("q_proj", "v_proj", "fc1", "fc2"),
    "gemma": ("q_proj", "v_proj"), "gemma2": ("q_proj", "v_proj"),
    "gemma3_text": ("q_proj", "v_proj"),
    "gemma4": r".*language_model\..*\.(q_proj|v_proj)",
    "qwen2": ("q_proj", "v_proj"), "qwen3": ("q_proj", "v_proj"),
    "nemotron_h": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "rwkv": ("key", "value", "receptance", "output"),
    "rwkv7": ("r_proj", "k_proj", "v_proj", "o_proj", "key", "value"),
}  # fmt: skip
"""Model type → targets (source: PEFT 0.21, TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING)."""

GUARDED_HEADS: Mapping[str, tuple[str, ...]] = {"SEQ_CLS": ("classifier", "score")}
"""Task type → modules that PEFT adds to ``modules_to_save`` before it looks for targets."""

TRAINED_HEADS: Mapping[str, tuple[str, ...]] = {
    **GUARDED_HEADS,
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
}
"""Task type → modules that PEFT trains whole (source: PEFT 0.21, peft_model.py)."""

EMBEDDING_NAMES = ("embed_tokens", "lm_head")
"""Targets with which PEFT saves the embeddings' own weights, too (source: PEFT 0.21)."""

HEAD_NAMES = ("score", "classifier")
"""Classification heads that ``all-linear`` leaves out for SEQ_CLS (source: PEFT 0.21)."""
