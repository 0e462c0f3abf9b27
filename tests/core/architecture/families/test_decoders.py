"""Decoders in Llama's manner, as transformers builds them."""

import pytest

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from tests.meta_models import (
    DECODER,
    Case,
    Config,
    assert_described,
    config_json,
    meta_model,
    name_of,
)

WIDE: Config = DECODER | {"head_dim": 8}
ALL_HEADS = (
    "ForCausalLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "Model",
)
NO_ANSWERS = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "Model")
LM_ONLY = ("ForCausalLM", "Model")
CLASSES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3"), ALL_HEADS),
    **dict.fromkeys(("Gemma", "Gemma2", "Phi", "Phi3", "StableLm", "Starcoder2"), NO_ANSWERS),
    **dict.fromkeys(("Cohere", "Cohere2", "Olmo", "Olmo2", "Granite"), LM_ONLY),
}

CASES = [
    *(Case(name + head, DECODER) for name, heads in CLASSES.items() for head in heads),
    *(
        Case(f"{name}ForCausalLM", DECODER | {"tie_word_embeddings": tied})
        for name in ("Llama", "Qwen2", "Gemma", "Phi", "Starcoder2", "Cohere", "SmolLM3")
        for tied in (True, False)
    ),
    *(
        Case(f"{name}ForCausalLM", DECODER | {"attention_bias": True})
        for name in ("Llama", "Qwen3", "Gemma2", "Cohere", "Olmo", "Olmo2", "SmolLM3", "Granite")
    ),
    *(
        Case(f"{name}ForCausalLM", DECODER | {"mlp_bias": True})
        for name in ("Llama", "SmolLM3", "Granite")
    ),
    *(Case(f"{name}ForCausalLM", WIDE) for name in ("Llama", "Mistral", "Qwen3", "Gemma")),
    Case("PhiForCausalLM", DECODER | {"qk_layernorm": True}),
    Case("StableLmForCausalLM", DECODER | {"use_qkv_bias": True}),
    Case("StableLmForCausalLM", DECODER | {"use_parallel_residual": True, "qk_layernorm": True}),
    Case("Starcoder2ForCausalLM", DECODER | {"use_bias": False}),
    Case("CohereForCausalLM", DECODER | {"use_qk_norm": True}),
    Case("LlamaForSequenceClassification", DECODER | {"num_labels": 5}),
    Case("LlamaForTokenClassification", DECODER | {"id2label": {0: "a", 1: "b", 2: "c"}}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_module_and_shape(case: Case) -> None:
    assert_described(case)


@pytest.mark.parametrize("name", CLASSES)
def test_the_input_embedding(name: str) -> None:
    case = Case(f"{name}ForCausalLM", DECODER)
    model, architecture = meta_model(case), build_architecture(config_json(case))
    assert isinstance(architecture, Architecture)
    assert architecture.input_embedding == name_of(model, model.get_input_embeddings())
    assert architecture.n_layers == DECODER["num_hidden_layers"]


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Qwen2", "Gemma", "Gemma2", "SmolLM3"])
def test_as_many_key_value_heads_as_the_class_has_where_none_are_named(name: str) -> None:
    heads = {"num_attention_heads": 32, "hidden_size": 64}
    silent = {key: value for key, value in DECODER.items() if key != "num_key_value_heads"}
    assert_described(Case(f"{name}ForCausalLM", silent | heads))
