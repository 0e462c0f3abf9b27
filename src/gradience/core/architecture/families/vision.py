"""Models of images and sound, and models that join images and text.

References: the modelling files of transformers 5.23, which every family is tested against.
"""

from collections.abc import Mapping
from functools import partial

from gradience.core.architecture.families.decoders import GEMMA3, GEMMA3_TEXT_SIZES
from gradience.core.architecture.families.family import Family, Head
from gradience.core.architecture.families.heads import BARE, CAUSAL
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes

VIT_LAYERS = """
@layers.{layers}.attention.q_proj linear?qkv_bias hidden hidden
@layers.{layers}.attention.k_proj linear?qkv_bias hidden hidden
@layers.{layers}.attention.v_proj linear?qkv_bias hidden hidden
@layers.{layers}.attention.o_proj linear+ hidden hidden
@layers.{layers}.layernorm_before norm+ hidden
@layers.{layers}.layernorm_after norm+ hidden
@layers.{layers}.mlp.fc1 linear+ hidden mlp
@layers.{layers}.mlp.fc2 linear+ mlp hidden
@layernorm norm+ hidden
@embeddings.patch_embeddings.projection conv+ channels hidden patch patch
"""
VIT = f"""{VIT_LAYERS}
@embeddings params cls_token=1,1,hidden position_embeddings=1,cls_patches,hidden
"""
DEIT = f"""{VIT_LAYERS}
@embeddings params cls_token=1,1,hidden position_embeddings=1,two_patches,hidden
@embeddings params distillation_token=1,1,hidden
"""
DINOV2 = """
@embeddings params cls_token=1,1,hidden position_embeddings=1,cls_patches,hidden
[mask_token] @embeddings params mask_token=1,hidden
@embeddings.patch_embeddings.projection conv+ channels hidden patch patch
@encoder.layer.{layers}.norm1 norm+ hidden
@encoder.layer.{layers}.attention.q_proj linear?qkv_bias hidden hidden
@encoder.layer.{layers}.attention.k_proj linear?qkv_bias hidden hidden
@encoder.layer.{layers}.attention.v_proj linear?qkv_bias hidden hidden
@encoder.layer.{layers}.attention.o_proj linear+ hidden hidden
@encoder.layer.{layers}.layer_scale1 params lambda1=hidden
@encoder.layer.{layers}.norm2 norm+ hidden
@encoder.layer.{layers}.mlp.fc1 linear+ hidden mlp
@encoder.layer.{layers}.mlp.fc2 linear+ mlp hidden
@encoder.layer.{layers}.layer_scale2 params lambda1=hidden
@layernorm norm+ hidden
"""
POOLER = "@pooler.dense linear+ hidden pooled\n"


def _tower_layers(place: str, sizes: str) -> str:
    """Layers of CLIP's and SigLIP's towers; ``sizes`` begins the names of their sizes."""
    layer = f"{place}encoder.layers.{{{sizes}layers}}"
    hidden, mlp = f"{sizes}hidden", f"{sizes}mlp"
    return f"""
{layer}.self_attn.k_proj linear+ {hidden} {hidden}
{layer}.self_attn.v_proj linear+ {hidden} {hidden}
{layer}.self_attn.q_proj linear+ {hidden} {hidden}
{layer}.self_attn.out_proj linear+ {hidden} {hidden}
{layer}.layer_norm1 norm+ {hidden}
{layer}.layer_norm2 norm+ {hidden}
{layer}.mlp.fc1 linear+ {hidden} {mlp}
{layer}.mlp.fc2 linear+ {mlp} {hidden}
"""


def _text_tower(place: str) -> str:
    return f"""{_tower_layers(place, "text_")}
{place}embeddings.token_embedding embed vocab text_hidden input
{place}embeddings.position_embedding embed positions text_hidden
{place}final_layer_norm norm+ text_hidden
"""


def _clip_vision(place: str) -> str:
    return f"""{_tower_layers(place, "")}
{place}embeddings params class_embedding=hidden
{place}embeddings.patch_embedding conv channels hidden patch patch
{place}embeddings.position_embedding embed cls_patches hidden
{place}pre_layrnorm norm+ hidden
{place}post_layernorm norm+ hidden
"""


def _siglip_vision(place: str) -> str:
    return f"""{_tower_layers(place, "")}
{place}embeddings.patch_embedding conv+ channels hidden patch patch
{place}embeddings.position_embedding embed patches hidden
{place}post_layernorm norm+ hidden
[pools] {place}head params probe=1,1,hidden
[pools] {place}head.attention params in_proj_weight=three_hidden,hidden in_proj_bias=three_hidden
[pools] {place}head.attention.out_proj linear+ hidden hidden
[pools] {place}head.layernorm norm+ hidden
[pools] {place}head.mlp.fc1 linear+ hidden mlp
[pools] {place}head.mlp.fc2 linear+ mlp hidden
"""


CLIP = f"""{_text_tower("text_model.")}{_clip_vision("vision_model.")}
@ params logit_scale=
visual_projection linear hidden projection
text_projection linear text_hidden projection
"""
SIGLIP = f"""{_text_tower("text_model.")}{_siglip_vision("vision_model.")}
@ params logit_scale=1 logit_bias=1
text_model.head linear+ text_hidden projection
"""
GEMMA3_BOTH = f"""{_siglip_vision("@vision_tower.")}
@multi_modal_projector params mm_input_projection_weight=hidden,text_hidden
@multi_modal_projector.mm_soft_emb_norm rms hidden
{
    GEMMA3.replace("@", "@language_model.")
    .replace(" hidden", " text_hidden")
    .replace(" mlp", " text_mlp")
    .replace("{layers}", "{text_layers}")
}
"""
GEMMA3_TEXT_DEFAULTS: Mapping[str, object] = {
    "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    "num_attention_heads": 8,
}  # fmt: skip
SIGLIP_TEXT_DEFAULTS: Mapping[str, object] = {
    "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "max_position_embeddings": 64,
}  # fmt: skip
SIGLIP_VISION_DEFAULTS: Mapping[str, object] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "image_size": 224,
    "patch_size": 16,
}  # fmt: skip
CLIP_TEXT_DEFAULTS: Mapping[str, object] = {
    "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
    "max_position_embeddings": 77,
}  # fmt: skip
CLIP_VISION_DEFAULTS: Mapping[str, object] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "image_size": 224,
    "patch_size": 32,
}  # fmt: skip
"""Defaults of transformers' classes: a part's settings are often written without them."""


def _vit_sizes(settings: Settings) -> Sizes:
    hidden = settings.size("hidden_size")
    image, patch = _square(settings, "image_size"), _square(settings, "patch_size")
    patches = (image // max(patch, 1)) ** 2
    return {
        "hidden": hidden, "three_hidden": 3 * hidden,
        "mlp": settings.size("intermediate_size", default=0),
        "layers": settings.layers("num_hidden_layers"), "patch": patch, "patches": patches,
        "cls_patches": patches + 1, "two_patches": patches + 2,
        "channels": settings.size("num_channels", default=3), "labels": settings.labels,
        "pooled": settings.size("pooler_output_size", default=hidden), "two_hidden": 2 * hidden,
        "qkv_bias": int(settings.flag("qkv_bias", default=True)),
        "pools": int(settings.flag("vision_use_head", default=True)),
    }  # fmt: skip


def _square(settings: Settings, name: str) -> int:
    """A side's length; of [height, width] the first, these models' images are square."""
    return settings.sizes(name)[0] if settings.sizes(name) else settings.size(name)


def _dinov2_sizes(settings: Settings) -> Sizes:
    sizes = _vit_sizes(settings)
    ratio = settings.size("mlp_ratio", default=4)
    return {
        **sizes,
        "mlp": ratio * settings.size("hidden_size"),
        "mask_token": int(settings.flag("use_mask_token", default=True)),
    }


def _pair_sizes(
    settings: Settings,
    *,
    projection: int | None,
    text_defaults: Mapping[str, object],
    vision_defaults: Mapping[str, object],
) -> Sizes:
    """Sizes of both towers; ``projection`` is the default of CLIP's, SigLIP's is the text's."""
    text = settings.inner("text_config", text_defaults)
    vision = settings.inner("vision_config", vision_defaults)
    hidden = text.size("hidden_size")
    own = text.size("projection_size", default=hidden)
    return {
        **_vit_sizes(vision),
        "text_hidden": hidden, "text_mlp": text.size("intermediate_size"),
        "text_layers": text.layers("num_hidden_layers"), "vocab": text.size("vocab_size"),
        "positions": text.size("max_position_embeddings"),
        "projection": settings.size("projection_dim", default=projection) if projection else own,
    }  # fmt: skip


def _gemma3_sizes(settings: Settings) -> Sizes:
    text = GEMMA3_TEXT_SIZES(settings.inner("text_config", GEMMA3_TEXT_DEFAULTS))
    vision = _vit_sizes(settings.inner("vision_config", SIGLIP_VISION_DEFAULTS))
    both = ("hidden", "mlp", "layers")
    return {
        **vision,
        **{name: size for name, size in text.items() if name not in both},
        **{f"text_{name}": text[name] for name in both},
    }


OLDER_VIT = (
    ("layers.", "encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
)
"""What transformers 4 calls the modules of ViT and DeiT."""

IMAGE_CLASSIFIER = Head(modules="classifier linear+ hidden labels")

VISION = (
    Family(
        class_names={"vit": "ViT"},
        prefix="vit.",
        body=VIT,
        sizes=_vit_sizes,
        heads={
            "ForImageClassification": IMAGE_CLASSIFIER,
            "Model": Head(prefix="", body=VIT + POOLER),
        },
        default_head="ForImageClassification",
        older_names=OLDER_VIT,
    ),
    Family(
        class_names={"deit": "DeiT"},
        prefix="deit.",
        body=DEIT,
        sizes=_vit_sizes,
        heads={
            "ForImageClassification": IMAGE_CLASSIFIER,
            "Model": Head(prefix="", body=DEIT + POOLER),
        },
        default_head="ForImageClassification",
        older_names=OLDER_VIT,
    ),
    Family(
        class_names={"dinov2": "Dinov2"},
        prefix="dinov2.",
        body=DINOV2,
        sizes=_dinov2_sizes,
        heads={
            "ForImageClassification": Head(modules="classifier linear+ two_hidden labels"),
            "Model": BARE,
        },
        default_head="ForImageClassification",
        older_names=OLDER_VIT[1:5],
    ),
    Family(
        class_names={"clip": "CLIP"},
        prefix="",
        body=CLIP,
        sizes=partial(
            _pair_sizes,
            projection=512,
            text_defaults=CLIP_TEXT_DEFAULTS,
            vision_defaults=CLIP_VISION_DEFAULTS,
        ),
        heads={"Model": BARE},
        default_head="Model",
    ),
    Family(
        class_names={"siglip": "Siglip"},
        prefix="",
        body=SIGLIP,
        sizes=partial(
            _pair_sizes,
            projection=None,
            text_defaults=SIGLIP_TEXT_DEFAULTS,
            vision_defaults=SIGLIP_VISION_DEFAULTS,
        ),
        heads={"Model": BARE},
        default_head="Model",
    ),
    Family(
        class_names={"gemma3": "Gemma3"},
        prefix="model.",
        body=GEMMA3_BOTH,
        sizes=_gemma3_sizes,
        heads={
            "ForConditionalGeneration": Head(
                modules="lm_head linear text_hidden vocab tied output"
            ),
            "Model": BARE,
        },
        default_head="ForConditionalGeneration",
        layers="text_layers",
        tied=True,
    ),
    Family(
        class_names={"gemma3_text": "Gemma3"},
        prefix="model.",
        body=GEMMA3,
        sizes=GEMMA3_TEXT_SIZES,
        heads={"ForCausalLM": CAUSAL, "TextModel": BARE},
        default_head="ForCausalLM",
        tied=True,
    ),
)
"""Families of models of images, with or without text."""
