"""Encoders with decoders: T5's and BART's manner, and Whisper.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from functools import partial

from gradience.core.architecture.families.family import Family, Head
from gradience.core.architecture.families.heads import BARE, CAUSAL
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

SHARED_WORDS = """
@shared embed vocab hidden input
@encoder.embed_tokens embed vocab hidden shared
"""


def _t5_attention(place: str, name: str) -> str:
    return f"""
{place}.{name}.q linear hidden q
{place}.{name}.k linear hidden q
{place}.{name}.v linear hidden q
{place}.{name}.o linear q hidden
{place}.layer_norm rms hidden
"""


def _t5_mlp(place: str) -> str:
    return f"""
[gated] {place}.DenseReluDense.wi_0 linear hidden mlp
[gated] {place}.DenseReluDense.wi_1 linear hidden mlp
[!gated] {place}.DenseReluDense.wi linear hidden mlp
{place}.DenseReluDense.wo linear mlp hidden
{place}.layer_norm rms hidden
"""


T5_ENCODER = f"""
{_t5_attention("@encoder.block.{layers}.layer.0", "SelfAttention")}
@encoder.block.{{biased}}.layer.0.SelfAttention.relative_attention_bias embed buckets heads
{_t5_mlp("@encoder.block.{layers}.layer.1")}
@encoder.final_layer_norm rms hidden
"""
T5 = f"""{SHARED_WORDS}{T5_ENCODER}
@decoder.embed_tokens embed vocab hidden shared
{_t5_attention("@decoder.block.{decoder_layers}.layer.0", "SelfAttention")}
@decoder.block.{{decoder_biased}}.layer.0.SelfAttention.relative_attention_bias embed buckets heads
{_t5_attention("@decoder.block.{decoder_layers}.layer.1", "EncDecAttention")}
{_t5_mlp("@decoder.block.{decoder_layers}.layer.2")}
@decoder.final_layer_norm rms hidden
"""


def _bart_attention(place: str) -> str:
    return f"""
{place}.k_proj linear?key_bias hidden hidden
{place}.v_proj linear+ hidden hidden
{place}.q_proj linear+ hidden hidden
{place}.out_proj linear+ hidden hidden
{place}_layer_norm norm+ hidden
"""


BART_ENCODER = f"""
@encoder.embed_positions embed positions hidden
{_bart_attention("@encoder.layers.{layers}.self_attn")}
@encoder.layers.{{layers}}.fc1 linear+ hidden mlp
@encoder.layers.{{layers}}.fc2 linear+ mlp hidden
@encoder.layers.{{layers}}.final_layer_norm norm+ hidden
"""
BART_DECODER = f"""
@decoder.embed_positions embed decoder_positions hidden
{_bart_attention("@decoder.layers.{decoder_layers}.self_attn")}
{_bart_attention("@decoder.layers.{decoder_layers}.encoder_attn")}
@decoder.layers.{{decoder_layers}}.fc1 linear+ hidden decoder_mlp
@decoder.layers.{{decoder_layers}}.fc2 linear+ decoder_mlp hidden
@decoder.layers.{{decoder_layers}}.final_layer_norm norm+ hidden
"""
BART = f"""{BART_ENCODER}{BART_DECODER}
@shared embed vocab hidden input
@encoder.embed_tokens embed vocab hidden tied
@encoder.layernorm_embedding norm+ hidden
@decoder.embed_tokens embed vocab hidden tied
@decoder.layernorm_embedding norm+ hidden
"""
LAST_NORMS = """
@encoder.layer_norm norm+ hidden
@decoder.layer_norm norm+ hidden
"""
MBART = BART + LAST_NORMS
WHISPER = f"""{BART_ENCODER}{BART_DECODER}{LAST_NORMS}
@encoder.conv1 conv+ mels hidden 3
@encoder.conv2 conv+ hidden hidden 3
@decoder.embed_tokens embed vocab hidden input
"""
CLASSIFICATION_HEAD = Head(
    modules="classification_head.dense linear+ hidden hidden\n"
    "classification_head.out_proj linear+ hidden labels"
)
BART_POSITION_OFFSET = 2
"""Rows that BART's position embeddings have beyond ``max_position_embeddings``."""


def _t5_sizes(settings: Settings, *, gated: bool, every_layer: bool) -> Sizes:
    """Which feed-forward it is, and whether every block has relative positions (umT5).

    ``gated`` is the model type's default of ``feed_forward_proj``.
    """
    hidden, layers = settings.size("d_model", "hidden_size"), settings.layers("num_layers")
    decoder_layers = settings.size("num_decoder_layers", default=layers)
    kind = settings.text("feed_forward_proj", "gated-gelu" if gated else "relu")
    heads = settings.size("num_heads")
    return {
        "hidden": hidden, "q": heads * settings.size("d_kv"), "heads": heads,
        "mlp": settings.size("d_ff"), "gated": int(kind.startswith("gated-")),
        "layers": layers, "decoder_layers": decoder_layers,
        "biased": layers if every_layer else min(layers, 1),
        "decoder_biased": decoder_layers if every_layer else min(decoder_layers, 1),
        "buckets": settings.size("relative_attention_num_buckets", default=32),
        "vocab": settings.size("vocab_size"), "labels": settings.labels,
    }  # fmt: skip


def _bart_sizes(settings: Settings) -> Sizes:
    positions = settings.size("max_position_embeddings") + BART_POSITION_OFFSET
    return {
        **_pair_sizes(settings),
        "positions": positions, "decoder_positions": positions, "key_bias": 1,
    }  # fmt: skip


def _whisper_sizes(settings: Settings) -> Sizes:
    return {
        **_pair_sizes(settings),
        "positions": settings.size("max_source_positions"),
        "decoder_positions": settings.size("max_target_positions"),
        "mels": settings.size("num_mel_bins"), "key_bias": 0,
    }  # fmt: skip


def _pair_sizes(settings: Settings) -> Sizes:
    return {
        "hidden": settings.size("d_model", "hidden_size"),
        "mlp": settings.size("encoder_ffn_dim"), "decoder_mlp": settings.size("decoder_ffn_dim"),
        "layers": settings.layers("encoder_layers"),
        "decoder_layers": settings.layers("decoder_layers"),
        "vocab": settings.size("vocab_size"), "labels": settings.labels,
    }  # fmt: skip


def _t5_family(name: str, prefix: str, *, gated: bool, every_layer: bool) -> Family:
    return Family(
        class_names={name: prefix},
        prefix="",
        body=T5,
        sizes=partial(_t5_sizes, gated=gated, every_layer=every_layer),
        heads={
            "ForConditionalGeneration": CAUSAL,
            "ForSequenceClassification": Head(
                modules=CLASSIFICATION_HEAD.modules, prefix="transformer."
            ),
            "EncoderModel": Head(body=SHARED_WORDS + T5_ENCODER),
            "Model": BARE,
        },
        default_head="ForConditionalGeneration",
        tied=True,
    )


ENCODER_DECODERS = (
    _t5_family("t5", "T5", gated=False, every_layer=False),
    _t5_family("mt5", "MT5", gated=True, every_layer=False),
    _t5_family("umt5", "UMT5", gated=True, every_layer=True),
    Family(
        class_names={"bart": "Bart"},
        prefix="model.",
        body=BART,
        sizes=_bart_sizes,
        heads={
            "ForConditionalGeneration": CAUSAL,
            "ForSequenceClassification": CLASSIFICATION_HEAD,
            "Model": BARE,
        },
        default_head="ForConditionalGeneration",
        tied=True,
    ),
    Family(
        class_names={"mbart": "MBart"},
        prefix="model.",
        body=MBART,
        sizes=_bart_sizes,
        heads={
            "ForConditionalGeneration": CAUSAL,
            "ForSequenceClassification": CLASSIFICATION_HEAD,
            "Model": BARE,
        },
        default_head="ForConditionalGeneration",
        tied=True,
    ),
    Family(
        class_names={"whisper": "Whisper"},
        prefix="model.",
        body=WHISPER,
        sizes=_whisper_sizes,
        heads={
            "ForConditionalGeneration": Head(modules="proj_out linear hidden vocab tied output"),
            "Model": BARE,
        },
        default_head="ForConditionalGeneration",
        tied=True,
    ),
)
"""Families of encoders with decoders."""
