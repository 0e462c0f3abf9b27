"""Models that are not described: what transformers itself would build."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.resolve import fit_model
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.shell.meta_model import meta_architecture
from gradience.shell.model_config import load_architecture
from tests.meta_models import DECODER, ENCODER, Case, Config, config_json
from tests.tiny_models import peft_warns

OLMOE = Case("OlmoeForCausalLM", DECODER | {"num_experts": 4, "num_experts_per_tok": 2})
CONVNEXT = Case(
    "ConvNextForImageClassification", {"num_stages": 2, "hidden_sizes": [6, 8], "depths": [1, 2]}
)


@pytest.mark.parametrize(
    "case",
    [
        Case("LlamaForCausalLM", DECODER | {"tie_word_embeddings": True}),
        Case("BertForMaskedLM", ENCODER),
        Case("MixtralForCausalLM", DECODER | {"num_local_experts": 4}),
        Case(
            "GPT2LMHeadModel",
            {"vocab_size": 50, "n_embd": 24, "n_layer": 2, "n_head": 6, "n_positions": 30},
        ),
    ],
    ids=str,
)
def test_both_ways_agree_where_both_know_the_model(case: Case) -> None:
    config = config_json(case)
    pure, built = build_architecture(config), meta_architecture(config, None)
    assert isinstance(pure, Architecture)
    assert isinstance(built, Architecture)
    assert built.size == pure.size
    assert (built.input_embedding, built.output_embedding, built.n_layers, built.tied) == (
        pure.input_embedding,
        pure.output_embedding,
        pure.n_layers,
        pure.tied,
    )
    without_sharing = {module._replace(shared=frozenset()) for module in pure.modules}
    assert {module._replace(shared=frozenset()) for module in built.modules} == without_sharing


@peft_warns
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:The following:RuntimeWarning")
@pytest.mark.parametrize("case", [OLMOE, CONVNEXT], ids=str)
def test_a_model_that_is_not_described(case: Case, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_json(case)))
    architecture = load_architecture(str(tmp_path))
    assert isinstance(architecture, Architecture)
    lora = LoraSnapshot(r=4, target_modules="all-linear")
    fit = fit_model(architecture, ConfigSnapshot(lora=lora))
    model_class = getattr(transformers, case.class_name)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**case.settings))
    assert fit.base_params == sum(each.numel() for each in model.parameters())
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    assert fit.trainable_params == adapted.get_nb_trainable_parameters()[0]


def test_the_task_chooses_the_class() -> None:
    config = config_json(OLMOE)
    found = meta_architecture(config_json(Case("LlamaForCausalLM", DECODER)), "SEQ_CLS")
    assert isinstance(found, Architecture)
    assert "score" in {module.name for module in found.modules}
    same = meta_architecture(config, "SEQ_CLS")
    assert isinstance(same, Architecture)
    assert same.output_embedding == "lm_head"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "nonsense"}, "does not know it"),
        ({"model_type": "llama", "num_hidden_layers": 10**9}, "too many layers"),
        ({"model_type": "swin", "depths": [2, 10**6]}, "too many layers"),
        ({"model_type": "clip", "vision_config": {"num_hidden_layers": 10**6}}, "too many layers"),
        ({"model_type": "olmoe", "hidden_size": "x"}, "cannot build it"),
    ],
)
def test_why_a_model_cannot_be_built(config: Config, words: str) -> None:
    found = meta_architecture(config, None)
    assert isinstance(found, str)
    assert words in found


def test_code_that_a_model_brings_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "modeling_evil.py").write_text("raise SystemExit('run')\n")
    config = config_json(OLMOE) | {
        "auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil", "AutoConfig": "modeling_evil.C"}
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert isinstance(load_architecture(str(tmp_path)), Architecture)
