"""One name for the names that a module has had: renames applied to both sides of a comparison."""

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from gradience.core.checkpoint.rename_rules import RULES


class ScopedRules(NamedTuple):
    """Rules that hold below a prefix."""

    rules: str
    """A key of :data:`~gradience.core.checkpoint.rename_rules.RULES`."""
    scope: str = ""
    """Regular expression of the prefix, which the rules do not see."""


Family = tuple[ScopedRules, ...]
"""Everything that was renamed in the models of some types, in the order of application."""

_MODEL = r"(?:model\.)?"
_TOWERS = r"(?:model\.)?(?:vision|image|video)_tower\."
_LEGACY = ScopedRules("legacy")
_VIT: Family = (ScopedRules("ViTModel"),)


def _multimodal(name: str, inner: str) -> Family:
    """A language model with towers: the root's renames, the inner model's, the towers'."""
    return (
        ScopedRules(name),
        ScopedRules(inner, _MODEL),
        ScopedRules("CLIPVisionModel", _TOWERS),
        _LEGACY,
    )


_LLAVA = _multimodal("llava", "LlavaModel")
_LLAVA_NEXT = _multimodal("llava_next", "LlavaModel")
_QWEN2_AUDIO = _multimodal("qwen2_audio", "Qwen2AudioModel")
_QWEN2_VL: Family = (ScopedRules("Qwen2VLForConditionalGeneration"), _LEGACY)
_QWEN_OMNI: Family = (ScopedRules("Qwen2_5OmniThinkerForConditionalGeneration"), _LEGACY)
_SEGFORMER: Family = (
    ScopedRules("SegformerForSemanticSegmentation"),
    ScopedRules("SegformerModel"),
)
_CLIP_TEXT: Family = (ScopedRules("CLIPTextModel"),)
_CLIP_VISION: Family = (ScopedRules("CLIPVisionModel"),)
_DINOV2: Family = (ScopedRules("Dinov2Model"),)
_RT_DETR: Family = (ScopedRules("rt_detr"),)
_GRANITE_MOE: Family = (ScopedRules("granitemoe"),)

FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(
        ("vit", "audio-spectrogram-transformer", "deit", "ijepa", "vit_mae", "vit_msn", "vivit"),
        _VIT,
    ),
    "beit": (ScopedRules("BeitModel"),),
    **dict.fromkeys(("dinov2", "dinov2_with_registers"), _DINOV2),
    "dinov3_vit": (ScopedRules("dinov3_vit"),),
    "swin": (ScopedRules("swin"),),
    "segformer": _SEGFORMER,
    **dict.fromkeys(
        (
            "llava", "aria", "paligemma", "aya_vision", "got_ocr2", "gemma3", "internvl",
            "vipllava", "mistral3", "pp_chart2table",
        ),
        _LLAVA,
    ),
    **dict.fromkeys(("llava_next", "llava_next_video", "llava_onevision"), _LLAVA_NEXT),
    "video_llava": _multimodal("video_llava", "VideoLlavaModel"),
    "mllama": _multimodal("mllama", "LlavaModel"),
    "fuyu": _multimodal("fuyu", "LlavaModel"),
    "emu3": _multimodal("emu3", "Emu3Model"),
    **dict.fromkeys(
        ("qwen2_audio", "voxtral", "voxtral_realtime", "audioflamingo3", "glmasr", "musicflamingo"),
        _QWEN2_AUDIO,
    ),
    **dict.fromkeys(
        ("granite_speech", "granite_speech_plus"),
        _multimodal("granite_speech", "GraniteSpeechModel"),
    ),
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl"), _QWEN2_VL),
    **dict.fromkeys(
        ("qwen2_5_omni", "qwen2_5_omni_thinker", "qwen3_omni_moe_thinker"), _QWEN_OMNI
    ),
    "paddleocr_vl": (ScopedRules("paddleocr_vl"),),
    **dict.fromkeys(
        ("clip_vision_model", "siglip_vision_model", "siglip2_vision_model", "mlcd_vision_model"),
        _CLIP_VISION,
    ),
    **dict.fromkeys(
        ("clip_text_model", "siglip_text_model", "siglip2_text_model"),
        _CLIP_TEXT,
    ),
    "altclip": (ScopedRules("altclip"),),
    "gpt_neox": (ScopedRules("GPTNeoXForCausalLM"),),
    **dict.fromkeys(("mixtral", "minimax", "minimax_m2"), (ScopedRules("mixtral"),)),
    "phimoe": (ScopedRules("phimoe"),),
    **dict.fromkeys(("granitemoe", "granitemoeshared", "granitemoehybrid"), _GRANITE_MOE),
    "aria_text": (ScopedRules("aria_text"),),
    "nemotron_h": (ScopedRules("nemotron_h"),),
    "qwen3_5_text": (ScopedRules("qwen3_5_text"),),
    "detr": (ScopedRules("DetrModel"),),
    "conditional_detr": (ScopedRules("ConditionalDetrModel"),),
    "deformable_detr": (ScopedRules("deformable_detr"),),
    **dict.fromkeys(("rt_detr", "rt_detr_v2", "pp_doclayout_v2", "pp_doclayout_v3"), _RT_DETR),
    "maskformer": (ScopedRules("maskformer"),),
    "nomic_bert": (ScopedRules("nomic_bert"),),
    "gte": (ScopedRules("gte"),),
    "jina_embeddings_v3": (ScopedRules("jina_embeddings_v3"),),
}  # fmt: skip
"""``model_type`` of config.json → the renames of its family."""

ONLY_BY_TYPE = frozenset({"nomic_bert", "gte", "jina_embeddings_v3", "altclip", "dinov3_vit"})
"""Families whose renames are too plain (``encoder`` left out, ``layer`` for ``layers``) to be tried
on a checkpoint that does not say its type."""

OTHER_RENAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "nomic_bert": ((r"\battn\.Wqkv", "self_attn.Wqkv"),),
    "gte": ((r"\battention\.qkv_proj", "self_attn.qkv_proj"),),
    "jina_embeddings_v3": ((r"\bmixer\.Wqkv", "self_attn.Wqkv"),),
}
"""Where transformers' converters of fused projections also rename the parent."""

_SUFFIX = ".weight"


def families_of(model_type: str | None) -> tuple[Family, ...]:
    """The renames that a checkpoint may need.

    Args:
        model_type: ``model_type`` of the checkpoint's config.json, None where it has none.

    Returns:
        The family of the type; none for a type whose names did not change; for None all but
        :data:`ONLY_BY_TYPE`.
    """
    if model_type is None:
        types = (each for each in FAMILIES if each not in ONLY_BY_TYPE)
        return tuple(dict.fromkeys(FAMILIES[each] for each in types))
    family = FAMILIES.get(model_type)
    return () if family is None else (family,)


def canonical_name(name: str, family: Family) -> str:
    """A module's present name, made of a present or a past one.

    The rules leave present names as they are, so both sides of a comparison may go through them.

    Args:
        name: A module's name, or a checkpoint key without ``.weight``.
        family: The renames.

    Returns:
        The name without ``.weight``.
    """
    key = name + _SUFFIX
    for scope, rules in _compiled(family):
        prefix = scope.match(key)
        if prefix is None:
            continue
        rest = key[prefix.end() :]
        for pattern, replacement in rules:
            rest = pattern.sub(replacement, rest, count=1)
        key = prefix.group() + rest
    return key.removesuffix(_SUFFIX)


_Rules = tuple[tuple[re.Pattern[str], str], ...]


@functools.cache
def _compiled(family: Family) -> tuple[tuple[re.Pattern[str], _Rules], ...]:
    return tuple(
        (re.compile(scoped.scope), tuple(_compile(rule) for rule in _rules(scoped.rules)))
        for scoped in family
    )


def _rules(name: str) -> tuple[tuple[str, str], ...]:
    return RULES[name] + OTHER_RENAMES.get(name, ())


def _compile(rule: tuple[str, str]) -> tuple[re.Pattern[str], str]:
    """A pattern ends where a component of the name does: ``layer`` is not in ``layer_norm``."""
    pattern, replacement = rule
    end = r"(?!\w)" if re.search(r"[a-zA-Z0-9]$", pattern) else ""
    return re.compile(f"(?:{pattern}){end}"), replacement
