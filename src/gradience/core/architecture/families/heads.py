"""Heads that many families have in common, under the names of transformers' classes."""

from gradience.core.architecture.families.family import Head

CAUSAL = Head(modules="lm_head linear hidden vocab tied output")
CAUSAL_WITH_BIAS = Head(modules="lm_head linear+ hidden vocab tied output")
BARE = Head(prefix="")
SCORE = Head(modules="score linear hidden labels")
SCORE_WITH_BIAS = Head(modules="score linear+ hidden labels")
CLASSIFIER = Head(modules="classifier linear+ hidden labels")
QA_OUTPUTS = Head(modules="qa_outputs linear+ hidden 2")
QA_ON_TRANSFORMER = Head(modules=QA_OUTPUTS.modules, prefix="transformer.")

DECODER_HEADS = {
    "ForCausalLM": CAUSAL,
    "ForSequenceClassification": SCORE,
    "ForTokenClassification": SCORE_WITH_BIAS,
    "ForQuestionAnswering": QA_ON_TRANSFORMER,
    "Model": BARE,
}
"""Those of transformers' generic classes for decoders."""

HEADS_ON_MODEL = DECODER_HEADS | {"ForQuestionAnswering": QA_OUTPUTS}
"""The same where the question answering class calls its base model as the others do."""


def some_heads(*names: str) -> dict[str, Head]:
    """The generic heads with these names."""
    return {name: DECODER_HEADS[name] for name in names}
