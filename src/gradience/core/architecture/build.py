"""A parsed config.json → the model's modules, by the family that its model type belongs to."""

import re
from collections.abc import Mapping

from gradience.core.architecture.families.decoders import DECODERS
from gradience.core.architecture.families.earlier_decoders import EARLIER_DECODERS
from gradience.core.architecture.families.encoder_decoders import ENCODER_DECODERS
from gradience.core.architecture.families.encoders import ENCODERS
from gradience.core.architecture.families.experts import EXPERT_DECODERS
from gradience.core.architecture.families.family import Family
from gradience.core.architecture.families.vision import VISION
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import expand
from gradience.core.errors import ConfigError

FAMILIES: Mapping[str, Family] = {
    model_type: family
    for group in (DECODERS, EXPERT_DECODERS, EARLIER_DECODERS, ENCODERS, ENCODER_DECODERS, VISION)
    for family in group
    for model_type in family.class_names
}
"""Model type → the family that describes it."""

TASK_HEADS: Mapping[str, tuple[str, ...]] = {
    "CAUSAL_LM": ("ForCausalLM", "LMHeadModel"),
    "SEQ_CLS": ("ForSequenceClassification",),
    "TOKEN_CLS": ("ForTokenClassification",),
    "QUESTION_ANS": ("ForQuestionAnswering",),
    "SEQ_2_SEQ_LM": ("ForConditionalGeneration",),
}
"""PEFT's task types → the classes that are loaded for them, by the ends of their names."""

_HEAD = re.compile(r"(?:For[A-Z]\w*|LMHeadModel|EncoderModel|TextModel|VisionModel|Model)$")
_OLD_HEAD = "WithLMHeadModel"
"""The end of names of classes that transformers once had; old config.json files still say them."""

_DTYPES = ("dtype", "torch_dtype")


def build_architecture(
    config: Mapping[str, object], task_type: str | None = None
) -> Architecture | str:
    """The modules of the model that transformers would build.

    The class is the one that the task type stands for, where the model type has it: who trains a
    classifier loads a base model as one. Else it is that of ``architectures``.

    Args:
        config: A parsed config.json.
        task_type: The adapter's ``task_type``.

    Returns:
        The architecture, or why it is not known.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        return "config.json names no model_type"
    family = FAMILIES.get(model_type)
    if family is None:
        return unknown_model(model_type)
    head = _head(family, config, task_type)
    if head not in family.heads:
        return f"the modules of {family.class_names[model_type]}{head} are not described"
    try:
        return _architecture(model_type, family, head, Settings(config))
    except ConfigError as error:
        return str(error)


def is_described(config: Mapping[str, object]) -> bool:
    """Whether there is a family for the model type, or nothing that names one."""
    model_type = config.get("model_type")
    return not isinstance(model_type, str) or model_type in FAMILIES


def unknown_model(model_type: str) -> str:
    """Why nothing is said of a model type without a family."""
    return f"the modules of model type {model_type!r} are not described"


def _head(family: Family, config: Mapping[str, object], task_type: str | None) -> str:
    for name in TASK_HEADS.get(task_type or "", ()):
        if name in family.heads:
            return name
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    if not isinstance(first, str) or first.endswith(_OLD_HEAD):
        return family.default_head
    match = _HEAD.search(first)
    return match[0] if match else family.default_head


def _architecture(model_type: str, family: Family, name: str, settings: Settings) -> Architecture:
    head = family.heads[name]
    sizes = family.sizes(settings)
    tied = family.tied is not None and settings.flag("tie_word_embeddings", default=family.tied)
    prefix = family.prefix if head.prefix is None else head.prefix
    body = expand(head.body or family.body, sizes, prefix, tied=tied)
    own = expand(head.modules, sizes, prefix, tied=tied)
    layers = sizes[family.layers]
    return Architecture(
        model_type=model_type,
        modules=body.modules + own.modules,
        n_layers=layers if isinstance(layers, int) else len(layers),
        input_embedding=body.input_embedding,
        output_embedding=own.output_embedding,
        tied=tied,
        dtype=config_dtype(settings),
        quantised=isinstance(settings.values.get("quantization_config"), Mapping),
        older_names=family.older_names,
    )


def config_dtype(settings: Settings) -> str | None:
    """The dtype that config.json names, also that of the text part."""
    for values in (settings.values, settings.inner("text_config").values):
        for name in _DTYPES:
            value = values.get(name)
            if isinstance(value, str):
                return value.removeprefix("torch.")
    return None
