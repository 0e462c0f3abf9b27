"""A tokenizer of whole words and a tiny Llama, made on the spot: what the TRL examples train."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")

WORDS = "the a cat dog bird king sees likes like follows near hill river does ? yes no .".split()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Every word is a token."""
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    pad, begin, end, unknown = SPECIAL
    words = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=pad,
        bos_token=begin,
        eos_token=end,
        unk_token=unknown,
    )


def tiny_llama() -> LlamaForCausalLM:
    """Two layers, hidden size 32."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(SPECIAL) + len(WORDS),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
