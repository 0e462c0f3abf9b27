"""Encoders in BERT's manner.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from gradience.core.architecture.families.family import Family, Head
from gradience.core.architecture.families.heads import BARE, CLASSIFIER, QA_OUTPUTS
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

EMBEDDINGS = """
@embeddings.word_embeddings embed vocab words input
@embeddings.position_embeddings embed positions words
@embeddings.token_type_embeddings embed types words
@embeddings.LayerNorm norm+ words
"""
LAYERS = """
@encoder.layer.{layers}.attention.self.query linear+ hidden hidden
@encoder.layer.{layers}.attention.self.key linear+ hidden hidden
@encoder.layer.{layers}.attention.self.value linear+ hidden hidden
@encoder.layer.{layers}.attention.output.dense linear+ hidden hidden
@encoder.layer.{layers}.attention.output.LayerNorm norm+ hidden
@encoder.layer.{layers}.intermediate.dense linear+ hidden mlp
@encoder.layer.{layers}.output.dense linear+ mlp hidden
@encoder.layer.{layers}.output.LayerNorm norm+ hidden
"""
POOLER = "@pooler.dense linear+ hidden hidden\n"
BERT = EMBEDDINGS + LAYERS
ELECTRA = f"{BERT}[projects] @embeddings_project linear+ words hidden\n"
DISTILBERT = """
@embeddings.word_embeddings embed vocab hidden input
@embeddings.position_embeddings embed positions hidden
@embeddings.LayerNorm norm+ hidden
@transformer.layer.{layers}.attention.q_lin linear+ hidden hidden
@transformer.layer.{layers}.attention.k_lin linear+ hidden hidden
@transformer.layer.{layers}.attention.v_lin linear+ hidden hidden
@transformer.layer.{layers}.attention.out_lin linear+ hidden hidden
@transformer.layer.{layers}.sa_layer_norm norm+ hidden
@transformer.layer.{layers}.ffn.lin1 linear+ hidden mlp
@transformer.layer.{layers}.ffn.lin2 linear+ mlp hidden
@transformer.layer.{layers}.output_layer_norm norm+ hidden
"""
DEBERTA = """
@embeddings.word_embeddings embed vocab words input
[biased] @embeddings.position_embeddings embed positions words
[types] @embeddings.token_type_embeddings embed types words
[projects] @embeddings.embed_proj linear words hidden
@embeddings.LayerNorm norm+ hidden
@encoder.layer.{layers}.attention.self.query_proj linear+ hidden hidden
@encoder.layer.{layers}.attention.self.key_proj linear+ hidden hidden
@encoder.layer.{layers}.attention.self.value_proj linear+ hidden hidden
[pos_key] @encoder.layer.{layers}.attention.self.pos_key_proj linear+ hidden hidden
[pos_query] @encoder.layer.{layers}.attention.self.pos_query_proj linear+ hidden hidden
@encoder.layer.{layers}.attention.output.dense linear+ hidden hidden
@encoder.layer.{layers}.attention.output.LayerNorm norm+ hidden
@encoder.layer.{layers}.intermediate.dense linear+ hidden mlp
@encoder.layer.{layers}.output.dense linear+ mlp hidden
@encoder.layer.{layers}.output.LayerNorm norm+ hidden
[relative] @encoder.rel_embeddings embed distances hidden
[norm_relative] @encoder.LayerNorm norm+ hidden
[kernel] @encoder.conv.conv conv+ hidden hidden kernel
[kernel] @encoder.conv.LayerNorm norm+ hidden
"""
ALBERT_LAYER = "@encoder.albert_layer_groups.{groups}.albert_layers.{inner}"
ALBERT = f"""{EMBEDDINGS}
@encoder.embedding_hidden_mapping_in linear+ words hidden
{ALBERT_LAYER}.full_layer_layer_norm norm+ hidden
{ALBERT_LAYER}.attention.query linear+ hidden hidden
{ALBERT_LAYER}.attention.key linear+ hidden hidden
{ALBERT_LAYER}.attention.value linear+ hidden hidden
{ALBERT_LAYER}.attention.dense linear+ hidden hidden
{ALBERT_LAYER}.attention.LayerNorm norm+ hidden
{ALBERT_LAYER}.ffn linear+ hidden mlp
{ALBERT_LAYER}.ffn_output linear+ mlp hidden
"""
ALBERT_POOLER = "@pooler linear+ hidden hidden\n"
PREDICTIONS = """
cls.predictions params bias=vocab
cls.predictions.transform.dense linear+ hidden words
cls.predictions.transform.LayerNorm norm+ words
cls.predictions.decoder linear+ words vocab all-tied output
"""
DENSE_CLASSIFIER = """
classifier.dense linear+ hidden hidden
classifier.out_proj linear+ hidden labels
"""
ROBERTA_PREDICTIONS = """
lm_head params bias=vocab
lm_head.dense linear+ hidden hidden
lm_head.layer_norm norm+ hidden
lm_head.decoder linear+ hidden vocab all-tied output
"""


FACTORED_WORDS = 128
"""Width of ELECTRA's and ALBERT's embeddings where the config says nothing."""


def _encoder_sizes(settings: Settings, words: int | None = None) -> Sizes:
    """``words`` is the width of the embeddings where it is not the hidden size."""
    hidden = settings.size("hidden_size", "dim")
    words = hidden if words is None else words
    return {
        "hidden": hidden, "words": words, "mlp": settings.size("intermediate_size", "hidden_dim"),
        "layers": settings.layers("num_hidden_layers", "n_layers"),
        "vocab": settings.size("vocab_size"), "positions": settings.size("max_position_embeddings"),
        "types": settings.size("type_vocab_size", default=2), "projects": int(words != hidden),
        "labels": settings.labels,
    }  # fmt: skip


def _electra_sizes(settings: Settings) -> Sizes:
    return _encoder_sizes(settings, settings.size("embedding_size", default=FACTORED_WORDS))


def _albert_sizes(settings: Settings) -> Sizes:
    groups = settings.size("num_hidden_groups", default=1)
    return {
        **_encoder_sizes(settings, settings.size("embedding_size", default=FACTORED_WORDS)),
        "groups": groups, "inner": settings.size("inner_group_num", default=1),
    }  # fmt: skip


def _deberta_sizes(settings: Settings) -> Sizes:
    hidden = settings.size("hidden_size")
    sizes = _encoder_sizes(settings, settings.size("embedding_size", default=hidden))
    relative = settings.flag("relative_attention", default=False)
    furthest = settings.values.get("max_relative_positions")
    distance = furthest if isinstance(furthest, int) and furthest > 0 else 0
    buckets = settings.values.get("position_buckets")
    count = buckets if isinstance(buckets, int) and buckets > 0 else 0
    separate = relative and not settings.flag("share_att_key", default=False)
    written = settings.values.get("pos_att_type")
    kinds = written.split("|") if isinstance(written, str) else written
    kinds = [str(kind).strip() for kind in kinds] if isinstance(kinds, list) else []
    norms = settings.text("norm_rel_ebd", "none").lower().split("|")
    return {
        **sizes,
        "types": settings.size("type_vocab_size", default=0),
        "biased": int(settings.flag("position_biased_input", default=True)),
        "relative": int(relative),
        "distances": 2 * (count or distance or settings.size("max_position_embeddings")),
        "pos_key": int(separate and "c2p" in kinds),
        "pos_query": int(separate and "p2c" in kinds),
        "norm_relative": int("layer_norm" in [norm.strip() for norm in norms]),
        "kernel": settings.size("conv_kernel_size", default=0),
        "pooled": settings.size("pooler_hidden_size", default=hidden),
    }


_TOKENS_AND_ANSWERS = {"ForTokenClassification": CLASSIFIER, "ForQuestionAnswering": QA_OUTPUTS}

ENCODERS = (
    Family(
        class_names={"bert": "Bert"},
        prefix="bert.",
        body=BERT,
        sizes=_encoder_sizes,
        heads={
            "ForMaskedLM": Head(modules=PREDICTIONS),
            "ForSequenceClassification": Head(modules=CLASSIFIER.modules, body=BERT + POOLER),
            "Model": Head(prefix="", body=BERT + POOLER),
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
    Family(
        class_names={
            "roberta": "Roberta",
            "xlm-roberta": "XLMRoberta",
            "camembert": "Camembert",
        },
        prefix="roberta.",
        body=BERT,
        sizes=_encoder_sizes,
        heads={
            "ForMaskedLM": Head(modules=ROBERTA_PREDICTIONS),
            "ForSequenceClassification": Head(modules=DENSE_CLASSIFIER),
            "Model": Head(prefix="", body=BERT + POOLER),
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
    Family(
        class_names={"distilbert": "DistilBert"},
        prefix="distilbert.",
        body=DISTILBERT,
        sizes=_encoder_sizes,
        heads={
            "ForMaskedLM": Head(
                modules="vocab_transform linear+ hidden hidden\nvocab_layer_norm norm+ hidden\n"
                "vocab_projector linear+ hidden vocab tied output"
            ),
            "ForSequenceClassification": Head(
                modules=f"pre_classifier linear+ hidden hidden\n{CLASSIFIER.modules}"
            ),
            "Model": BARE,
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
    Family(
        class_names={"electra": "Electra"},
        prefix="electra.",
        body=ELECTRA,
        sizes=_electra_sizes,
        heads={
            "ForSequenceClassification": Head(modules=DENSE_CLASSIFIER),
            "ForMaskedLM": Head(
                modules="generator_predictions.LayerNorm norm+ words\n"
                "generator_predictions.dense linear+ hidden words\n"
                "generator_lm_head linear+ words vocab tied output"
            ),
            "ForPreTraining": Head(
                modules="discriminator_predictions.dense linear+ hidden hidden\n"
                "discriminator_predictions.dense_prediction linear+ hidden 1"
            ),
            "Model": BARE,
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
    Family(
        class_names={"deberta-v2": "DebertaV2"},
        prefix="deberta.",
        body=DEBERTA,
        sizes=_deberta_sizes,
        heads={
            "ForMaskedLM": Head(modules=PREDICTIONS),
            "ForSequenceClassification": Head(
                modules="pooler.dense linear+ pooled pooled\nclassifier linear+ pooled labels"
            ),
            "Model": BARE,
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
    Family(
        class_names={"albert": "Albert"},
        prefix="albert.",
        body=ALBERT,
        sizes=_albert_sizes,
        heads={
            "ForMaskedLM": Head(
                modules="predictions params bias=vocab\npredictions.LayerNorm norm+ words\n"
                "predictions.dense linear+ hidden words\n"
                "predictions.decoder linear+ words vocab all-tied output"
            ),
            "ForSequenceClassification": Head(
                modules=CLASSIFIER.modules, body=ALBERT + ALBERT_POOLER
            ),
            "Model": Head(prefix="", body=ALBERT + ALBERT_POOLER),
            **_TOKENS_AND_ANSWERS,
        },
        default_head="Model",
        tied=True,
    ),
)
"""Families of encoders of text."""
