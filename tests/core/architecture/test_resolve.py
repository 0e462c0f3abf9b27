"""The fit of adapters on tiny models, against what PEFT makes of the same model."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import peft
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.fit import ModelFit
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.resolve import fit_model
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
)
from tests.meta_models import DECODER, ENCODER, IMAGE, Case, Config, config_json
from tests.tiny_models import peft_warns

pytestmark = [
    peft_warns,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

TIED = DECODER | {"tie_word_embeddings": True}
QV = ["q_proj", "v_proj"]
FILE_TOLERANCE = 0.01
"""What is promised of the file's size."""

LLAMA = Case("LlamaForCausalLM", DECODER)
TIED_LLAMA = Case("LlamaForCausalLM", TIED)
QWEN2 = Case("Qwen2ForCausalLM", DECODER)
GPT2 = Case(
    "GPT2LMHeadModel",
    {"vocab_size": 50, "n_embd": 24, "n_layer": 2, "n_head": 6, "n_positions": 30},
)
MIXTRAL = Case("MixtralForCausalLM", DECODER | {"num_local_experts": 4})
QWEN3_MOE = Case("Qwen3MoeForCausalLM", DECODER | {"num_experts": 4, "moe_intermediate_size": 14})
QWEN2_MOE = Case(
    "Qwen2MoeForCausalLM",
    DECODER
    | {"num_experts": 4, "moe_intermediate_size": 14, "shared_expert_intermediate_size": 18},
)
GPT_OSS = Case(
    "GptOssForCausalLM",
    DECODER
    | {
        "num_local_experts": 3,
        "head_dim": 8,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
)
DEEPSEEK = Case(
    "DeepseekV3ForCausalLM",
    DECODER
    | {
        "num_attention_heads": 4, "first_k_dense_replace": 1, "kv_lora_rank": 16,
        "q_lora_rank": 12, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10,
        "n_routed_experts": 8, "n_shared_experts": 2, "moe_intermediate_size": 14,
    },
)  # fmt: skip
T5 = Case(
    "T5ForConditionalGeneration",
    {"vocab_size": 50, "d_model": 24, "d_kv": 5, "d_ff": 40, "num_layers": 2, "num_heads": 6},
)
BERT = Case("BertForSequenceClassification", ENCODER)
ROBERTA = Case("RobertaForSequenceClassification", ENCODER)
TOKENS = Case("BertForTokenClassification", ENCODER)
ANSWERS = Case("BertForQuestionAnswering", ENCODER)
LLAMA_SCORE = Case("LlamaForSequenceClassification", DECODER)
DISTILBERT = Case(
    "DistilBertForSequenceClassification",
    {
        "vocab_size": 50, "dim": 24, "hidden_dim": 40, "n_layers": 2, "n_heads": 6,
        "max_position_embeddings": 30,
    },
)  # fmt: skip
VIT = Case("ViTForImageClassification", IMAGE)
WHISPER = Case(
    "WhisperForConditionalGeneration",
    {
        "vocab_size": 50, "d_model": 24, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 6, "decoder_attention_heads": 6, "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 42, "num_mel_bins": 10, "max_source_positions": 30,
        "max_target_positions": 20, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 1,
    },
)  # fmt: skip


class Adapter(NamedTuple):
    """A model and PEFT's arguments for it."""

    model: Case
    lora: Config

    def __str__(self) -> str:
        return f"{self.model.class_name}-{'-'.join(self.lora)}"


FITTING = [
    Adapter(LLAMA, {"target_modules": QV, "lora_alpha": 16}),
    Adapter(LLAMA, {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3}),
    Adapter(LLAMA, {"target_modules": "ALL-Linear", "use_dora": True}),
    Adapter(LLAMA, {}),
    Adapter(
        LLAMA,
        {
            "target_modules": QV,
            "rank_pattern": {"v_proj": 4, r"layers\.1\.self_attn\.q_proj": 2, "none": 3},
            "alpha_pattern": {"model.layers.0.self_attn.v_proj": 3},
        },
    ),
    Adapter(LLAMA, {"target_modules": QV, "modules_to_save": ["embed_tokens", "lm_head"]}),
    Adapter(TIED_LLAMA, {"target_modules": QV, "modules_to_save": ["embed_tokens", "head"]}),
    Adapter(LLAMA, {"target_modules": [*QV, "embed_tokens", "lm_head"]}),
    Adapter(LLAMA, {"target_modules": ["embed_tokens"], "use_dora": True}),
    Adapter(LLAMA, {"target_modules": r".*\.(q|k)_proj|model\.embed_tokens"}),
    Adapter(LLAMA, {"target_modules": QV, "lora_bias": True}),
    Adapter(LLAMA, {"target_modules": QV, "layers_to_transform": [0, 2]}),
    Adapter(LLAMA, {"target_modules": QV, "layers_to_transform": 1, "layers_pattern": "layers"}),
    Adapter(LLAMA, {"target_modules": QV, "layers_to_transform": []}),
    Adapter(LLAMA, {"target_modules": QV, "exclude_modules": ["layers.0.self_attn.q_proj"]}),
    Adapter(LLAMA, {"target_modules": "all-linear", "exclude_modules": r".*\.(1|2)\..*"}),
    Adapter(LLAMA, {"target_modules": QV, "trainable_token_indices": [1, 2, 3]}),
    Adapter(TIED_LLAMA, {"target_modules": QV, "trainable_token_indices": [1, 2]}),
    Adapter(
        LLAMA,
        {"target_modules": QV, "trainable_token_indices": {"embed_tokens": [1], "lm_head": [3]}},
    ),
    Adapter(LLAMA, {"target_modules": QV, "layer_replication": [[0, 2], [1, 3], [0, 1]]}),
    Adapter(QWEN2, {"target_modules": "all-linear", "bias": "all"}),
    Adapter(QWEN2, {"target_modules": QV, "bias": "lora_only"}),
    Adapter(GPT2, {}),
    Adapter(GPT2, {"target_modules": "all-linear", "use_dora": True}),
    Adapter(GPT2, {"target_modules": ["c_attn", "wte"], "fan_in_fan_out": True}),
    Adapter(MIXTRAL, {"target_modules": QV}),
    Adapter(MIXTRAL, {"target_modules": "all-linear", "lora_alpha": 5}),
    Adapter(MIXTRAL, {"target_modules": ["q_proj", "w1", "w2", "w3"]}),
    Adapter(MIXTRAL, {"target_modules": r".*\.(q_proj|w1|w2|w3)"}),
    Adapter(
        MIXTRAL,
        {
            "target_modules": ["q_proj"],
            "target_parameters": ["mlp.experts.down_proj", "mlp.gate.weight"],
        },
    ),
    Adapter(QWEN2_MOE, {"target_modules": "all-linear"}),
    Adapter(QWEN3_MOE, {"target_modules": "all-linear"}),
    Adapter(QWEN3_MOE, {"target_modules": ["q_proj", "gate"], "rank_pattern": {"gate.weight": 3}}),
    Adapter(QWEN3_MOE, {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]}),
    Adapter(DEEPSEEK, {"target_modules": "all-linear"}),
    Adapter(
        GPT_OSS,
        {"target_modules": "all-linear", "target_parameters": ["1.mlp.experts.gate_up_proj"]},
    ),
    Adapter(T5, {}),
    Adapter(T5, {"target_modules": ["q", "wi", "shared"], "modules_to_save": ["lm_head"]}),
    Adapter(BERT, {"task_type": "SEQ_CLS"}),
    Adapter(BERT, {"task_type": "SEQ_CLS", "target_modules": "all-linear"}),
    Adapter(ROBERTA, {"task_type": "SEQ_CLS", "target_modules": "all-linear"}),
    Adapter(ROBERTA, {"task_type": "SEQ_CLS", "modules_to_save": ["token_type_embeddings"]}),
    Adapter(LLAMA_SCORE, {"task_type": "SEQ_CLS", "target_modules": "all-linear"}),
    Adapter(TOKENS, {"task_type": "TOKEN_CLS", "target_modules": ["query"]}),
    Adapter(ANSWERS, {"task_type": "QUESTION_ANS"}),
    Adapter(VIT, {"target_modules": ["q_proj", "projection"], "modules_to_save": ["classifier"]}),
    Adapter(VIT, {"target_modules": ["projection", "fc1"], "use_dora": True}),
    Adapter(VIT, {"target_modules": ["projection", "fc1"], "lora_bias": True}),
    Adapter(WHISPER, {"target_modules": ["q_proj", "v_proj", "conv1"]}),
    Adapter(WHISPER, {"target_modules": "all-linear"}),
]

REFUSED = [
    (Adapter(LLAMA, {"target_modules": ["mlp"]}), "no linear layer"),
    (Adapter(LLAMA, {"target_modules": ["norm"]}), "no linear layer"),
    (Adapter(LLAMA, {"target_modules": ["c_attn"]}), "nothing in the model matches"),
    (Adapter(MIXTRAL, {}), "target_modules is not set"),
    (Adapter(MIXTRAL, {"target_modules": ["w1", "q_proj"]}), "w1 without w3"),
    (Adapter(QWEN3_MOE, {}), "target_modules is not set"),
    (Adapter(MIXTRAL, {"target_modules": ["w2"], "lora_dropout": 0.1}), "refuses lora_dropout"),
    (Adapter(MIXTRAL, {"target_modules": ["w2"], "use_dora": True}), "refuses use_dora"),
    (Adapter(DISTILBERT, {"task_type": "SEQ_CLS", "target_modules": "all-linear"}), "pre_class"),
    (Adapter(TOKENS, {"task_type": "TOKEN_CLS", "target_modules": "all-linear"}), "classifier"),
    (Adapter(VIT, {"target_modules": ["query", "value"]}), "transformers 4"),
    (Adapter(LLAMA, {"target_modules": "(q_proj"}), "no regular expression"),
]


def snapshot(lora: Config, r: int | None = 8) -> ConfigSnapshot:
    """The same settings as a configuration of ours."""
    extras = dict(lora)
    targets = extras.pop("target_modules", None)
    return ConfigSnapshot(
        optimizer=OptimizerSnapshot(name="adamw_torch"),
        lora=LoraSnapshot(
            r=r,
            alpha=extras.pop("lora_alpha", None),
            target_modules=tuple(targets) if isinstance(targets, list) else targets,
            dropout=extras.pop("lora_dropout", None),
            bias=extras.pop("bias", None),
            extras=extras,
        ),
    )


def fitted(adapter: Adapter) -> ModelFit:
    """The fit, from the least that a config.json may say."""
    architecture = build_architecture(config_json(adapter.model), adapter.lora.get("task_type"))
    assert isinstance(architecture, Architecture), architecture
    return fit_model(architecture, snapshot(adapter.lora))


def peft_model(adapter: Adapter) -> Any:  # noqa: ANN401  peft is untyped
    """What PEFT makes of it."""
    torch.manual_seed(0)
    model_class = getattr(transformers, adapter.model.class_name)
    base = model_class(model_class.config_class(**adapter.model.settings))
    return get_peft_model(base, LoraConfig(**adapter.lora))


def adapted_layers(model: Any) -> dict[str, tuple[int, float, float]]:  # noqa: ANN401  as above
    """Module or parameter → PEFT's rank, alpha and scaling."""
    return {
        name: (layer.r["default"], layer.lora_alpha["default"], layer.scaling["default"])
        for name, layer in lora_layers(model).items()
    }


def lora_layers(model: Any) -> dict[str, Any]:  # noqa: ANN401  as above
    """Module or parameter → PEFT's layer."""
    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, peft.tuners.lora.LoraLayer):
            place = name.removeprefix("base_model.model.").replace(".base_layer", "")
            parameter = getattr(layer, "parameter_name", None)
            place = place if parameter is None else f"{place}.{parameter}"
            found[place] = layer
    return found


@pytest.mark.parametrize("adapter", FITTING, ids=str)
def test_the_fit_is_what_peft_trains_and_saves(adapter: Adapter, tmp_path: Path) -> None:
    model, fit = peft_model(adapter), fitted(adapter)
    trained, _ = model.get_nb_trainable_parameters()
    assert fit.reason is None
    assert {each.name: (each.r, each.alpha, each.scaling) for each in fit.modules} == (
        adapted_layers(model)
    )
    assert fit.trainable_params == trained
    assert fit.gradient_bytes == fit.weight_bytes == 4 * trained
    assert fit.optimizer_bytes == 8 * trained
    model.save_pretrained(str(tmp_path))
    size = (tmp_path / "adapter_model.safetensors").stat().st_size
    assert fit.adapter_bytes == pytest.approx(size, rel=FILE_TOLERANCE)


@pytest.mark.parametrize(("adapter", "words"), REFUSED, ids=str)
def test_what_peft_refuses_is_said(adapter: Adapter, words: str) -> None:
    with pytest.raises((ValueError, TypeError, re.error)):
        peft_model(adapter)
    reason = fitted(adapter).reason
    assert reason is not None
    assert words in reason


def test_a_module_to_save_within_another_is_trained_twice() -> None:
    """PEFT copies ``embeddings``, and then the three embeddings whose names end so."""
    adapter = Adapter(ROBERTA, {"task_type": "SEQ_CLS", "modules_to_save": ["embeddings"]})
    fit = fitted(adapter)
    assert fit.trainable_params == peft_model(adapter).get_nb_trainable_parameters()[0]
    assert fit.adapter_bytes is None


@pytest.mark.parametrize(
    "adapter",
    [
        Adapter(LLAMA, {"target_modules": "all-linear"}),
        Adapter(GPT2, {"target_modules": "all-linear"}),
        Adapter(MIXTRAL, {"target_modules": ["w1", "w2", "w3"]}),
        Adapter(GPT_OSS, {"target_modules": ["q_proj"], "target_parameters": ["down_proj"]}),
    ],
    ids=str,
)
def test_features_are_those_of_the_factors(adapter: Adapter) -> None:
    features = {
        each.name: (each.in_features, each.out_features) for each in fitted(adapter).modules
    }
    assert features == {
        name: (layer.lora_A["default"].in_features, layer.lora_B["default"].out_features)
        for name, layer in lora_layers(peft_model(adapter)).items()
    }
