"""A model that transformers builds on the meta device, without memory for its weights."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from gradience.core.architecture.build import config_dtype, unknown_model
from gradience.core.architecture.modules import Architecture, ModelModule, ModuleKind, Parameter
from gradience.core.architecture.settings import MOST_LAYERS, Settings

_LEFT_OUT = ("auto_map", "quantization_config", "dtype", "torch_dtype", "_name_or_path")
"""Settings that would run code, need other libraries, or change no shape."""

_BY_TASK = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
}
"""PEFT's task types → the automatic classes that are used for them."""

_LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers")

_DEPTHS = frozenset({*_LAYER_COUNTS, "decoder_layers", "depth", "depths", "num_blocks"})
"""Settings, some of them lists, by which a model is built layer by layer."""


def meta_architecture(config: Mapping[str, object], task_type: str | None) -> Architecture | str:
    """The modules of a model as the installed transformers builds it.

    Only transformers' own classes are used: code that a model brings with it is never run.

    Args:
        config: A parsed config.json.
        task_type: The adapter's ``task_type``.

    Returns:
        The architecture, or why it is not known.
    """
    settings = Settings(config)
    model_type = settings.text("model_type")
    if _is_too_deep(config):
        return f"{unknown_model(model_type)}: it has too many layers"
    try:
        model = _built(config, model_type, task_type)
    except Exception as error:  # noqa: BLE001  whatever transformers makes of a foreign file
        said = str(error).partition("\n")[0]
        return f"{unknown_model(model_type)}, and transformers cannot build it: {said}"
    if model is None:
        return f"{unknown_model(model_type)}, and this transformers does not know it"
    return Architecture(
        model_type=model_type,
        modules=tuple(_modules(model)),
        n_layers=next((n for name in _LAYER_COUNTS if (n := _count(settings, name))), None),
        input_embedding=_name_of(model, "get_input_embeddings"),
        output_embedding=_name_of(model, "get_output_embeddings"),
        tied=bool(getattr(model.config, "tie_word_embeddings", False)),
        dtype=config_dtype(settings),
        quantised=isinstance(config.get("quantization_config"), Mapping),
    )


def _is_too_deep(config: Mapping[str, object]) -> bool:
    """Whether the model or a part of it has more layers than any: building it would not end."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            if _is_too_deep(value):
                return True
        elif name in _DEPTHS:
            counts = value if isinstance(value, list) else [value]
            if any(isinstance(count, int) and count > MOST_LAYERS for count in counts):
                return True
    return False


def _count(settings: Settings, name: str) -> int:
    value = settings.values.get(name, settings.inner("text_config").values.get(name))
    return value if isinstance(value, int) else 0


def _built(config: Mapping[str, object], model_type: str, task_type: str | None) -> Any:  # noqa: ANN401  transformers' models have no common type here
    import torch
    import transformers

    if model_type not in transformers.CONFIG_MAPPING:
        return None
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            given = {key: value for key, value in config.items() if key not in _LEFT_OUT}
            settings = transformers.CONFIG_MAPPING[model_type].from_dict(given)
            model_class = _model_class(settings, task_type)
            return None if model_class is None else model_class(settings)
    finally:
        transformers.logging.set_verbosity(verbosity)


def _model_class(settings: Any, task_type: str | None) -> Any:  # noqa: ANN401  as above
    """The class for the task, else the one that config.json names, else the causal or bare one."""
    import transformers

    by_task = _automatic(_BY_TASK.get(task_type or "", ""), settings)
    if by_task is not None:
        return by_task
    for name in settings.architectures or ():
        found = getattr(transformers, str(name), None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    return _automatic("AutoModelForCausalLM", settings) or _automatic("AutoModel", settings)


def _automatic(name: str, settings: Any) -> Any:  # noqa: ANN401  as above
    """What an automatic class would build; asked of its table, for building takes weights."""
    import transformers

    table = getattr(getattr(transformers, name, None), "_model_mapping", None)
    return table[type(settings)] if table is not None and type(settings) in table else None


def _modules(model: Any) -> Iterator[ModelModule]:  # noqa: ANN401  as above
    seen: set[int] = set()
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        shared = frozenset(key for key, value in own.items() if id(value) in seen)
        seen.update(id(value) for value in own.values())
        kind, d_in, d_out = _kind(module)
        yield ModelModule(
            name=name,
            kind=kind,
            in_features=d_in,
            out_features=d_out,
            parameters=tuple(Parameter(key, tuple(value.shape)) for key, value in own.items()),
            kernel=tuple(getattr(module, "kernel_size", ())) if kind is _CONVOLUTION else (),
            groups=getattr(module, "groups", 1) if kind is _CONVOLUTION else 1,
            shared=shared,
            transposed=bool(getattr(module, "is_transposed", False)),
        )


_CONVOLUTION = ModuleKind.CONVOLUTION


def _kind(module: Any) -> tuple[ModuleKind, int, int]:  # noqa: ANN401  as above
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Linear):
        return ModuleKind.LINEAR, module.in_features, module.out_features
    if isinstance(module, Conv1D):
        d_in, d_out = module.weight.shape
        return ModuleKind.CONV1D, d_in, d_out
    if isinstance(module, nn.Embedding):
        return ModuleKind.EMBEDDING, module.num_embeddings, module.embedding_dim
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return _CONVOLUTION, module.in_channels, module.out_channels
    return ModuleKind.OTHER, 0, 0


def _name_of(model: Any, getter: str) -> str | None:  # noqa: ANN401  as above
    """The name of the module that a getter of transformers gives; not every model has one."""
    try:
        wanted = getattr(model, getter)()
    except (AttributeError, NotImplementedError):
        return None
    return next((name for name, module in model.named_modules() if module is wanted), None)
