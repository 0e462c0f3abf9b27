"""Tiny transformers built from their configs: nothing is downloaded."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

ATTENTION_AND_MLP = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
peft_warns = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
"""PEFT 0.21 reads an attribute that transformers 5.23 has renamed."""
GPT2_TARGETS = ["c_attn", "c_proj", "c_fc"]


def tiny_llama(seed: int = 0) -> LlamaForCausalLM:
    """Two layers, hidden size 16."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=32,
        )
    )


def tiny_gpt2(seed: int = 0) -> GPT2LMHeadModel:
    """Two layers, hidden size 16; its linear layers are transposed (Conv1D)."""
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    )


def lora_layers(model: Any) -> dict[str, Any]:  # noqa: ANN401  peft's layers have no common type
    """Module name in the base model → PEFT's LoRA layer."""
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if hasattr(module, "lora_A") and hasattr(module, "scaling")
    }
