"""Published models: their config.json, and the parameters that they are known to have."""

import pytest

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from tests.meta_models import Config


def decoder(
    model_type: str, hidden: int, mlp: int, layers: int, heads: int, **more: object
) -> Config:
    """A decoder's settings in Llama's names."""
    return {
        "model_type": model_type, "hidden_size": hidden, "intermediate_size": mlp,
        "num_hidden_layers": layers, "num_attention_heads": heads, **more,
    }  # fmt: skip


BERT_BASE: Config = decoder(
    "bert", 768, 3072, 12, 12, vocab_size=30522, max_position_embeddings=512, type_vocab_size=2
)
T5_BASE: Config = {
    "model_type": "t5", "d_model": 768, "d_kv": 64, "num_layers": 12, "num_heads": 12,
    "vocab_size": 32128,
}  # fmt: skip

KNOWN: dict[str, tuple[Config, int]] = {
    "Llama-3.2-3B": (
        decoder(
            "llama", 3072, 8192, 28, 24, num_key_value_heads=8, head_dim=128, vocab_size=128256,
            tie_word_embeddings=True,
        ),
        3_212_749_824,
    ),
    "Llama-2-7b": (decoder("llama", 4096, 11008, 32, 32, vocab_size=32000), 6_738_415_616),
    "Mistral-7B-v0.1": (
        decoder("mistral", 4096, 14336, 32, 32, num_key_value_heads=8, vocab_size=32000),
        7_241_732_096,
    ),
    "Mixtral-8x7B-v0.1": (
        decoder(
            "mixtral", 4096, 14336, 32, 32, num_key_value_heads=8, vocab_size=32000,
            num_local_experts=8,
        ),
        46_702_792_704,
    ),
    "Qwen2.5-7B": (
        decoder("qwen2", 3584, 18944, 28, 28, num_key_value_heads=4, vocab_size=152064),
        7_615_616_512,
    ),
    "gemma-2-9b": (
        decoder(
            "gemma2", 3584, 14336, 42, 16, num_key_value_heads=8, head_dim=256, vocab_size=256000
        ),
        9_241_705_984,
    ),
    "Phi-3-mini-4k": (
        decoder("phi3", 3072, 8192, 32, 32, num_key_value_heads=32, vocab_size=32064),
        3_821_079_552,
    ),
    "gpt2": (
        {
            "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
            "vocab_size": 50257,
        },
        124_439_808,
    ),
    "bert-base-uncased": (BERT_BASE, 109_482_240),
    "t5-base": (T5_BASE | {"d_ff": 3072}, 222_903_552),
    "flan-t5-base": (
        T5_BASE | {"d_ff": 2048, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        247_577_856,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_of_published_models(name: str) -> None:
    config, size = KNOWN[name]
    architecture = build_architecture(config)
    assert isinstance(architecture, Architecture), architecture
    assert architecture.size == size
