"""What config.json says that finding weights needs."""

from pathlib import Path

import pytest
import transformers

from gradience.core.checkpoint.facts import (
    TRANSPOSED_EXPERTS,
    CheckpointFacts,
    checkpoint_facts,
)

NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True}


def test_nothing_is_known_without_a_config() -> None:
    assert checkpoint_facts({}) == CheckpointFacts()


def test_the_top_level_is_read() -> None:
    config = {"model_type": "llama", "tie_word_embeddings": False, "quantization_config": NF4}
    found = checkpoint_facts(config)
    assert found == CheckpointFacts(model_type="llama", tied_embeddings=False, quantization=NF4)


@pytest.mark.parametrize("outer", [["text_config"], ["thinker_config", "text_config"]])
def test_the_language_models_own_settings_are_read(outer: list[str]) -> None:
    config: dict[str, object] = {"model_type": "inner", "tie_word_embeddings": True}
    for name in reversed(outer):
        config = {"model_type": "outer", name: config}
    found = checkpoint_facts(config)
    assert (found.model_type, found.tied_embeddings) == ("outer", True)


def test_the_top_level_goes_before_the_inner_one() -> None:
    config = {"tie_word_embeddings": False, "text_config": {"tie_word_embeddings": True}}
    assert checkpoint_facts(config).tied_embeddings is False


def test_values_of_another_type_count_as_absent() -> None:
    config = {"model_type": 3, "tie_word_embeddings": "yes", "quantization_config": [1]}
    assert checkpoint_facts({**config, "text_config": 4}) == CheckpointFacts()


def test_autogptqs_own_file_is_used_where_the_config_is_silent() -> None:
    assert checkpoint_facts({}, {"bits": 4}).quantization == {"quant_method": "gptq", "bits": 4}
    assert checkpoint_facts({"quantization_config": NF4}, {"bits": 4}).quantization == NF4


@pytest.mark.parametrize(
    ("model_type", "transposed"),
    [
        ("gpt2", (True, False)),
        ("gpt_oss", (False, True)),
        ("llama", (False, False)),
        (None, (False, False)),
    ],
)
def test_conv1d_and_some_experts_are_stored_transposed(
    model_type: str | None, transposed: tuple[bool, bool]
) -> None:
    facts = CheckpointFacts(model_type=model_type)
    assert (facts.transposed(expert=False), facts.transposed(expert=True)) == transposed


def test_the_transposed_experts_are_those_of_the_installed_transformers() -> None:
    models = Path(transformers.__file__).parent / "models"
    marked = {
        path.parent.name
        for path in models.glob("*/modeling_*.py")
        if "is_transposed=True" in path.read_text()
    }
    assert marked == TRANSPOSED_EXPERTS - {"aria_text"}
