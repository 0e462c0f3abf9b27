"""Models as transformers builds them, without memory for their weights: the truth of the tables."""

from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture, ModuleKind

Config = dict[str, Any]

DECODER: Config = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
"""Sizes that cannot be mistaken for each other."""

ENCODER: Config = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6,
    "vocab_size": 50, "max_position_embeddings": 30, "type_vocab_size": 3,
}  # fmt: skip

IMAGE: Config = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6,
    "image_size": 12, "patch_size": 4,
}  # fmt: skip

KINDS: tuple[tuple[type[nn.Module], ModuleKind], ...] = (
    (nn.Linear, ModuleKind.LINEAR),
    (Conv1D, ModuleKind.CONV1D),
    (nn.Embedding, ModuleKind.EMBEDDING),
    (nn.Conv1d, ModuleKind.CONVOLUTION),
    (nn.Conv2d, ModuleKind.CONVOLUTION),
)


class Case(NamedTuple):
    """A class of transformers and what its config.json says."""

    class_name: str
    settings: Config

    def __str__(self) -> str:
        extra = {key: value for key, value in self.settings.items() if key not in DECODER}
        return f"{self.class_name}-{'-'.join(extra)}"


def meta_model(case: Case) -> Any:  # noqa: ANN401  transformers' models have no common type here
    """The model on the meta device."""
    model_class = getattr(transformers, case.class_name)
    with torch.device("meta"):
        return model_class(model_class.config_class(**case.settings))


def config_json(case: Case) -> Config:
    """The least that a config.json of the model may say: what was set, and the class."""
    model_class = getattr(transformers, case.class_name)
    return {
        "model_type": model_class.config_class.model_type,
        "architectures": [case.class_name],
        **case.settings,
    }


def assert_described(case: Case) -> None:
    """The table agrees with the model in every module, parameter and shape, and in the total."""
    model = meta_model(case)
    full = {**model.config.to_dict(), "architectures": [case.class_name]}
    for config in (config_json(case), full):
        architecture = build_architecture(config)
        assert isinstance(architecture, Architecture), architecture
        _assert_modules(architecture, model)
        assert architecture.size == sum(each.numel() for each in model.parameters())
        assert architecture.output_embedding == name_of(model, model.get_output_embeddings())


def _assert_modules(architecture: Architecture, model: nn.Module) -> None:
    expected = {
        name: {key: tuple(value.shape) for key, value in own.items()}
        for name, module in model.named_modules()
        if (own := dict(module.named_parameters(recurse=False)))
    }
    found = {
        module.name: {each.name: each.shape for each in module.parameters}
        for module in architecture.modules
    }
    assert found == expected
    modules = dict(model.named_modules())
    for each in architecture.modules:
        assert each.kind is _kind(modules[each.name]), each.name
        assert each.transposed == getattr(modules[each.name], "is_transposed", False), each.name
        if each.kind is ModuleKind.CONVOLUTION:
            assert (each.kernel, each.groups) == (
                modules[each.name].kernel_size,
                modules[each.name].groups,
            )


def _kind(module: nn.Module) -> ModuleKind:
    return next((kind for known, kind in KINDS if isinstance(module, known)), ModuleKind.OTHER)


def name_of(model: nn.Module, wanted: nn.Module | None) -> str | None:
    """A module's name in the model; None for no module."""
    return next((name for name, each in model.named_modules() if each is wanted), None)
