"""Every linear layer of tiny models of many families is found in what save_pretrained wrote."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from gradience.shell.base_model import BaseModel

Config = dict[str, Any]

TEXT: Config = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
VISION: Config = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 8, "patch_size": 4,
}  # fmt: skip
ENCODER_DECODER: Config = {
    "vocab_size": 32, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 0], "rope_theta": 10000.0}
BACKBONE = {
    "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1],
    "out_features": ["stage2"],
}  # fmt: skip


def _towers(text_type: str, vision_type: str) -> Config:
    return {
        "text_config": {**TEXT, "head_dim": 4, "model_type": text_type},
        "vision_config": {**VISION, "model_type": vision_type},
    }


MODELS: dict[str, tuple[str, Config]] = {
    "llama": ("LlamaForCausalLM", TEXT),
    "gpt2": ("GPT2LMHeadModel", {"vocab_size": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}),
    "bert": ("BertForMaskedLM", TEXT),
    "distilbert": (
        "DistilBertForMaskedLM",
        {"vocab_size": 32, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4},
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {"vocab_size": 32, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4},
    ),
    "whisper": ("WhisperForConditionalGeneration", ENCODER_DECODER),
    "phi3": ("Phi3ForCausalLM", TEXT),
    "gpt_neox": ("GPTNeoXForCausalLM", TEXT),
    "falcon": ("FalconForCausalLM", TEXT),
    "mixtral": ("MixtralForCausalLM", {**TEXT, "num_local_experts": 3}),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        {**TEXT, "num_experts": 3, "moe_intermediate_size": 12,
         "shared_expert_intermediate_size": 12},
    ),
    "llama4_text": (
        "Llama4ForCausalLM",
        {**TEXT, "head_dim": 4, "intermediate_size_mlp": 24, "num_local_experts": 2},
    ),
    "vit": ("ViTForImageClassification", VISION),
    "dinov2": ("Dinov2Model", {**VISION, "use_swiglu_ffn": True}),
    "swin": (
        "SwinForImageClassification",
        {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2],
         "window_size": 2},
    ),
    "segformer": (
        "SegformerForSemanticSegmentation",
        {"hidden_sizes": [8] * 4, "depths": [1] * 4, "num_attention_heads": [1] * 4,
         "decoder_hidden_size": 8},
    ),
    "clip": (
        "CLIPModel", {"text_config": TEXT, "vision_config": VISION, "projection_dim": 8},
    ),
    "llava": ("LlavaForConditionalGeneration", _towers("llama", "clip_vision_model")),
    "gemma3": (
        "Gemma3ForConditionalGeneration", _towers("gemma3_text", "siglip_vision_model"),
    ),
    "mistral3": ("Mistral3ForConditionalGeneration", _towers("mistral", "pixtral")),
    "qwen2_vl": (
        "Qwen2VLForConditionalGeneration",
        {
            "text_config": {**TEXT, "rope_parameters": MROPE},
            "vision_config": {
                "depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 4, "mlp_ratio": 2,
            },
        },
    ),
    "detr": (
        "DetrForObjectDetection",
        {**ENCODER_DECODER, "use_timm_backbone": False, "use_pretrained_backbone": False,
         "backbone": None, "backbone_config": BACKBONE, "num_queries": 4},
    ),
}  # fmt: skip

Weight = tuple[str, str | None, int | None, NDArray[np.float32]]


def _build(family: str, folder: Path) -> Any:  # noqa: ANN401  transformers' models have no type
    """A model of random weights, saved."""
    name, settings = MODELS[family]
    model_class = getattr(transformers, name)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_class(model_class.config_class.from_dict(json.loads(json.dumps(settings))))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        model.save_pretrained(folder)
    return model


def _weights(model: Any) -> Iterator[Weight]:  # noqa: ANN401
    """Module, parameter, expert and weight of all that LoRA may adapt."""
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if weight is not None and weight.ndim == 2:
            yield name, None, None, weight.detach().numpy()
    for name, stack in model.named_parameters():
        module, _, parameter = name.rpartition(".")
        if stack.ndim == 3 and module.endswith("experts"):
            for expert, weight in enumerate(stack.detach().numpy()):
                yield module, parameter, expert, weight


@pytest.mark.parametrize("family", MODELS)
def test_every_weight_of_the_model_is_the_one_found(family: str, tmp_path: Path) -> None:
    model = _build(family, tmp_path)
    config = tmp_path / "config.json"
    assert json.loads(config.read_text())["model_type"] == family
    typed = BaseModel(str(tmp_path))
    config.unlink()
    untyped = BaseModel(str(tmp_path))
    weights = list(_weights(model))
    assert len(weights) >= 10
    for module, parameter, expert, weight in weights:
        for base in (typed, untyped):
            found = base.weight(module, weight.shape, parameter=parameter, expert=expert)
            assert not isinstance(found, str), f"{module}: {found}"
            np.testing.assert_array_equal(found, weight, err_msg=module)


@pytest.mark.parametrize("family", MODELS)
def test_names_as_saved_are_found_under_the_names_in_memory(family: str, tmp_path: Path) -> None:
    model = _build(family, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    base = BaseModel(str(tmp_path))
    for name, weight in saved.items():
        if weight.ndim == 2 and name.endswith(".weight"):
            found = base.weight(name.removesuffix(".weight"), weight.shape)
            assert not isinstance(found, str), f"{name}: {found}"
            np.testing.assert_array_equal(found, weight, err_msg=name)
