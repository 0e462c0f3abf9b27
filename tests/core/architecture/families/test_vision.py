"""Models of images, with or without text, as transformers builds them."""

import pytest
import torch
import transformers

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from tests.meta_models import DECODER, ENCODER, IMAGE, Case, Config, assert_described, meta_model

TEXT: Config = ENCODER | {"hidden_size": 18, "intermediate_size": 34, "num_hidden_layers": 3}
PAIR: Config = {"text_config": TEXT, "vision_config": IMAGE}
GEMMA3: Config = {
    "text_config": DECODER | {"hidden_size": 18, "head_dim": 8},
    "vision_config": IMAGE | {"vision_use_head": False},
    "mm_tokens_per_image": 9,
}
DINOV2: Config = {key: value for key, value in IMAGE.items() if key != "intermediate_size"}

CASES = [
    Case("ViTForImageClassification", IMAGE | {"num_labels": 7}),
    Case("ViTForImageClassification", IMAGE | {"qkv_bias": False, "num_channels": 1}),
    Case("ViTModel", IMAGE),
    Case("ViTModel", IMAGE | {"pooler_output_size": 9}),
    Case("DeiTForImageClassification", IMAGE),
    Case("DeiTModel", IMAGE),
    Case("Dinov2ForImageClassification", DINOV2),
    Case("Dinov2Model", DINOV2 | {"use_mask_token": False, "mlp_ratio": 3}),
    Case("SiglipModel", PAIR),
    Case("SiglipModel", PAIR | {"text_config": TEXT | {"projection_size": 18}}),
    Case("Gemma3ForConditionalGeneration", GEMMA3),
    Case("Gemma3ForConditionalGeneration", GEMMA3 | {"tie_word_embeddings": False}),
    Case("Gemma3Model", GEMMA3),
    Case("Gemma3ForCausalLM", DECODER | {"head_dim": 8}),
    Case("Gemma3ForCausalLM", DECODER),
    Case("Gemma3TextModel", DECODER),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)


def test_clip() -> None:
    """CLIP has no ``get_input_embeddings``, and counts what its two towers own."""
    case = Case("CLIPModel", PAIR | {"projection_dim": 11})
    model = meta_model(case)
    architecture = build_architecture({"model_type": "clip", **case.settings})
    assert isinstance(architecture, Architecture)
    expected = {
        f"{name}.{key}": tuple(value.shape)
        for name, module in model.named_modules()
        for key, value in module.named_parameters(recurse=False)
    }
    found = {
        f"{module.name}.{each.name}": each.shape
        for module in architecture.modules
        for each in module.parameters
    }
    assert found == expected


@pytest.mark.parametrize(
    ("model_type", "class_name"),
    [
        ("gemma3", "Gemma3ForConditionalGeneration"),
        ("siglip", "SiglipModel"),
        ("clip", "CLIPModel"),
    ],
)
def test_the_defaults_of_parts_that_say_nothing(model_type: str, class_name: str) -> None:
    config: Config = {"model_type": model_type, "text_config": {}, "vision_config": {}}
    if model_type == "gemma3":
        config["vision_config"] = {"vision_use_head": False}
    architecture = build_architecture(config)
    model_class = getattr(transformers, class_name)
    with torch.device("meta"):
        settings = {key: value for key, value in config.items() if key != "model_type"}
        model = model_class(model_class.config_class(**settings))
    assert isinstance(architecture, Architecture)
    assert architecture.size == sum(each.numel() for each in model.parameters())
