"""Encoders in BERT's manner, as transformers builds them."""

import pytest

from tests.meta_models import ENCODER, Case, Config, assert_described

DISTILBERT: Config = {
    "vocab_size": 50, "dim": 24, "hidden_dim": 40, "n_layers": 2, "n_heads": 6,
    "max_position_embeddings": 30,
}  # fmt: skip
FACTORED: Config = ENCODER | {"embedding_size": 12}
V3: Config = ENCODER | {
    "type_vocab_size": 0, "relative_attention": True, "position_buckets": 8,
    "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p",
    "position_biased_input": False, "max_relative_positions": -1,
}  # fmt: skip
HEADS = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "Model",
)

CASES = [
    *(
        Case(f"{name}{head}", ENCODER)
        for name in ("Bert", "Roberta", "XLMRoberta", "Camembert", "DebertaV2")
        for head in HEADS
    ),
    *(Case(f"DistilBert{head}", DISTILBERT) for head in HEADS),
    *(Case(f"Albert{head}", FACTORED) for head in HEADS),
    *(Case(f"Electra{head}", FACTORED) for head in (*HEADS, "ForPreTraining")),
    Case("DebertaV2ForSequenceClassification", V3),
    Case("DebertaV2ForMaskedLM", V3 | {"embedding_size": 12, "conv_kernel_size": 3}),
    Case("DebertaV2Model", V3 | {"share_att_key": False}),
    Case("DebertaV2Model", V3 | {"share_att_key": False, "pos_att_type": ["c2p"]}),
    Case("DebertaV2Model", V3 | {"position_buckets": -1, "max_relative_positions": 11}),
    Case("DebertaV2Model", V3 | {"position_buckets": 0, "norm_rel_ebd": "none"}),
    Case("AlbertModel", FACTORED | {"num_hidden_groups": 2, "inner_group_num": 3}),
    Case("ElectraModel", ENCODER),
    Case("AlbertModel", ENCODER),
    Case("BertForMaskedLM", ENCODER | {"tie_word_embeddings": False}),
    Case("RobertaForSequenceClassification", ENCODER | {"num_labels": 7}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)
