"""Encoders with decoders, as transformers builds them."""

import pytest

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from tests.meta_models import Case, Config, assert_described, config_json

T5: Config = {
    "vocab_size": 50, "d_model": 24, "d_kv": 5, "d_ff": 40, "num_layers": 3, "num_heads": 6,
    "num_decoder_layers": 2, "relative_attention_num_buckets": 9,
}  # fmt: skip
PAIR: Config = {
    "vocab_size": 50, "d_model": 24, "encoder_layers": 3, "decoder_layers": 2,
    "encoder_attention_heads": 6, "decoder_attention_heads": 4, "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 42,
}  # fmt: skip
BART: Config = PAIR | {"max_position_embeddings": 30, "num_labels": 3}
WHISPER: Config = PAIR | {
    "num_mel_bins": 10, "max_source_positions": 30, "max_target_positions": 20, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip

CASES = [
    *(
        Case(f"{name}{head}", T5)
        for name in ("T5", "MT5", "UMT5")
        for head in (
            "ForConditionalGeneration",
            "ForSequenceClassification",
            "EncoderModel",
            "Model",
        )
    ),
    *(
        Case(f"{name}{head}", BART)
        for name in ("Bart", "MBart")
        for head in ("ForConditionalGeneration", "ForSequenceClassification", "Model")
    ),
    Case("WhisperForConditionalGeneration", WHISPER),
    Case("WhisperModel", WHISPER),
    Case("T5ForConditionalGeneration", T5 | {"feed_forward_proj": "gated-gelu"}),
    Case("MT5ForConditionalGeneration", T5 | {"feed_forward_proj": "relu"}),
    Case("T5ForConditionalGeneration", T5 | {"num_decoder_layers": None}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)


def test_an_untied_head() -> None:
    assert_described(Case("BartForConditionalGeneration", BART | {"tie_word_embeddings": False}))


def test_a_t5_whose_config_says_untied_has_a_head_of_its_own() -> None:
    """As its checkpoints have, whatever transformers 5 makes of the setting before it loads one."""
    case = Case("T5ForConditionalGeneration", T5)
    untied = build_architecture(config_json(case) | {"tie_word_embeddings": False})
    tied = build_architecture(config_json(case))
    assert isinstance(untied, Architecture)
    assert isinstance(tied, Architecture)
    assert untied.size - tied.size == T5["vocab_size"] * T5["d_model"]
