"""Which family and which head a config.json asks for."""

import pytest
import transformers

from gradience.core.architecture.build import FAMILIES, build_architecture, is_described
from gradience.core.architecture.default_targets import DEFAULT_TARGETS
from gradience.core.architecture.fused_experts import RENAMED_TARGETS
from gradience.core.architecture.modules import Architecture
from tests.meta_models import DECODER, ENCODER, Config

LLAMA: Config = DECODER | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
BERT: Config = ENCODER | {"model_type": "bert", "architectures": ["BertForMaskedLM"]}


def names(config: Config, task_type: str | None = None) -> set[str]:
    """The modules' names."""
    architecture = build_architecture(config, task_type)
    assert isinstance(architecture, Architecture), architecture
    return {module.name for module in architecture.modules}


def test_the_task_decides_before_the_class() -> None:
    assert "lm_head" in names(LLAMA)
    assert "score" in names(LLAMA, "SEQ_CLS")
    assert "lm_head" not in names(LLAMA, "SEQ_CLS")
    assert "cls.predictions.decoder" in names(BERT)
    assert "classifier" in names(BERT, "TOKEN_CLS")
    assert "qa_outputs" in names(BERT, "QUESTION_ANS")


@pytest.mark.parametrize("task_type", ["SEQ_2_SEQ_LM", "FEATURE_EXTRACTION", "nonsense", None])
def test_a_task_that_the_model_has_no_class_for_leaves_the_class(task_type: str | None) -> None:
    assert "lm_head" in names(LLAMA, task_type)


def test_without_a_class_the_usual_one() -> None:
    assert "lm_head" in names(DECODER | {"model_type": "llama"})
    assert "pooler.dense" in names(ENCODER | {"model_type": "bert"})


def test_a_class_of_old_is_the_usual_one() -> None:
    sizes: Config = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    old: Config = sizes | {"model_type": "t5", "vocab_size": 9}
    assert names(old | {"architectures": ["T5WithLMHeadModel"]}) == names(old)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "names no model_type"),
        ({"model_type": 3}, "names no model_type"),
        ({"model_type": "nonsense"}, "model type 'nonsense' are not described"),
        (BERT | {"architectures": ["BertForPreTraining"]}, "BertForPreTraining are not"),
        ({"model_type": "llama"}, "does not say hidden_size"),
        (LLAMA | {"hidden_size": "4096"}, "hidden_size is '4096'"),
        (LLAMA | {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    ],
)
def test_why_a_model_is_not_known(config: Config, words: str) -> None:
    found = build_architecture(config)
    assert isinstance(found, str)
    assert words in found


def test_what_config_json_says_beside_the_modules() -> None:
    config = LLAMA | {"torch_dtype": "torch.bfloat16", "quantization_config": {"bits": 4}}
    architecture = build_architecture(config)
    assert isinstance(architecture, Architecture)
    assert (architecture.dtype, architecture.quantised) == ("bfloat16", True)
    assert is_described(config)
    assert is_described({})
    assert not is_described({"model_type": "nonsense"})


def test_every_family_is_one_of_transformers() -> None:
    assert set(FAMILIES) - {"gemma3_text"} <= set(transformers.CONFIG_MAPPING)
    for model_type, family in FAMILIES.items():
        for head in family.heads:
            assert hasattr(transformers, family.class_names[model_type] + head), (model_type, head)


def test_pefts_own_tables() -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    from peft.utils.transformers_weight_conversion import (  # type: ignore[attr-defined]  # PEFT's own copy
        _MODEL_TO_CONVERSION_PATTERN,
        _MOE_TARGET_MODULE_MAPPING,
    )

    assert {
        name: targets if isinstance(targets, str) else tuple(targets)
        for name, targets in TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.items()
    } == DEFAULT_TARGETS
    assert {
        name: _MOE_TARGET_MODULE_MAPPING[base]
        for name, base in _MODEL_TO_CONVERSION_PATTERN.items()
        if base in _MOE_TARGET_MODULE_MAPPING
    } == RENAMED_TARGETS
