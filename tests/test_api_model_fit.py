"""``check`` from Python with a model."""

import json
from pathlib import Path

import pytest

from gradience.api.checking import check
from gradience.core.checking.check import RULES
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from tests.meta_models import DECODER, Config

LLAMA: Config = DECODER | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
PEFT: Config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder with its config.json, and an empty cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "private" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    return folder


def test_the_flag_names_the_model(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter_config.json"
    adapter.write_text(json.dumps(PEFT))
    for place in (model, model / "config.json"):
        report = check(adapter, flags=ConfigSnapshot(model_name=str(place)))
        assert report.model is not None
        assert report.model.matched == {"q_proj": 3}
        assert report.model.trainable_params == 3 * 4 * (24 + 24)


def test_the_adapters_own_base_model(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter_config.json"
    adapter.write_text(json.dumps(PEFT | {"base_model_name_or_path": str(model)}))
    report = check(peft=adapter)
    assert report.model is not None
    assert report.model.model_type == "llama"


def test_the_task_of_the_adapter_decides_the_head(model: Path) -> None:
    lora = LoraSnapshot(r=4, target_modules=("q_proj",), extras={"task_type": "SEQ_CLS"})
    report = check(ConfigSnapshot(model_name=str(model), lora=lora))
    assert report.model is not None
    assert report.model.saved_module_params == 2 * 24


def test_a_name_that_is_not_here_changes_nothing_but_the_reason() -> None:
    lora = LoraSnapshot(r=4, target_modules=("q_proj",))
    report = check(ConfigSnapshot(model_name="org/model", lora=lora))
    assert report.model is not None
    assert report.model.reason is not None
    assert report.model.reason.startswith("no config.json of org/model")
    assert report.model.base_params is None
    silent = check(ConfigSnapshot(lora=lora))
    assert silent.model is None
    assert silent.recommendations == report.recommendations


def test_a_path_is_not_said_again(model: Path) -> None:
    report = check(ConfigSnapshot(model_name=str(model.parent / "gone")))
    assert report.model is not None
    assert "private" not in str(report.model.reason)


def test_only_the_rules_that_are_given() -> None:
    config = ConfigSnapshot()
    assert check(config).rules_applied == len(RULES)
    assert check(config, rules=RULES[:1]).rules_applied == 1
    unjudged = check(config, rules=())
    assert (unjudged.rules_applied, unjudged.recommendations) == (0, ())
