"""A file goes to the reader of its kind; the others are refused with what to do instead."""

import subprocess
import sys

import pytest

from gradience.core.config import readers
from gradience.core.config.foreign import READ_KINDS, REFUSED
from gradience.core.config.readers import read_config
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError


@pytest.mark.parametrize(
    ("raw", "tool"),
    [
        ({"base_model": "m", "adapter": "lora"}, "axolotl"),
        ({"finetuning_type": "lora", "stage": "sft"}, "llama_factory"),
        ({"model": "m", "train_dataset": "d"}, "llama_factory"),
        ({"model": {"_component_": "x"}}, "torchtune"),
        ({"model_name_or_path": "m", "use_peft": True}, "trl"),
        ({"model": "m", "tuner_type": "lora"}, "ms_swift"),
        ({"model": "m", "training": {"learning_rate": 1e-4}}, "unsloth"),
        ({"model": "m", "lora_parameters": {"rank": 8}}, "mlx_lm"),
        ({"learning_rate": {"value": 1e-4}, "wandb_version": 1}, "wandb"),
    ],
)
def test_every_tool_has_its_reader(raw: dict[str, object], tool: str) -> None:
    assert read_config(raw, "c.yaml").extras["tool"] == tool


def test_every_kind_that_is_read_has_a_reader() -> None:
    assert readers._READERS.keys() == READ_KINDS


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"log_history": []}, r"found a Hugging Face trainer_state\.json\. It is a log: use grad"),
        ({"architectures": ["x"]}, r"found a model's config\.json\. It describes the base model"),
        ({"zero_optimization": {}}, r"found a DeepSpeed config\. It says how the work is spread"),
        ({"distributed_type": "FSDP"}, r"found an Accelerate config\. .*Name the training's conf"),
        ({"tokenizer_class": "x"}, r"found a tokenizer's configuration\. Name the training's"),
        ({"model": "m", "train_iters": 5}, r"found a Megatron-SWIFT config\. .*flags \(--lr"),
        ({"colour": 1, "size": 2}, r"unknown layout \(its keys: colour, size …\)\. Give its val"),
    ],
)
def test_what_is_not_read_is_refused_by_name(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.json: expected a configuration of .*{words}"):
        read_config(raw, "c.json")


def test_the_advice_names_what_can_be_done() -> None:
    assert all(advice and not advice.endswith(".") for advice in REFUSED.values())


def test_an_empty_file_says_nothing() -> None:
    assert read_config({}, "empty.yaml") == ConfigSnapshot()


def test_a_tool_is_imported_when_a_file_of_it_is_read() -> None:
    script = (
        "import sys; from gradience.core.config.readers import read_config; "
        "read_config({'model_name': 'm'}, 'c.json'); "
        "print(*(name for name in sys.modules if name.startswith('gradience.core.config.')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    names = {name.rpartition(".")[2] for name in loaded}
    assert not names & {"axolotl", "torchtune", "ms_swift", "trl", "peft_reader", "llama_factory"}
    assert "own_reader" in names


def _itself() -> dict[str, object]:
    value: dict[str, object] = {}
    value["again"] = value
    return value


def _laughs() -> object:
    value: object = "ha"
    for _ in range(12):
        value = [value] * 9
    return value


@pytest.mark.parametrize("endless", [_itself(), _laughs()])
def test_a_file_nested_without_end_is_refused(endless: object) -> None:
    raw = {"optim_args": endless, "per_device_train_batch_size": 1}
    with pytest.raises(ConfigError, match=r"^c\.yaml: .* 64 levels .* an alias hold itself"):
        read_config(raw, "c.yaml")


def test_a_long_file_is_no_endless_one() -> None:
    names = [f"layers.{number}.q_proj" for number in range(10_000)]
    found = read_config({"peft_type": "LORA", "r": 8, "target_modules": names}, "a.json")
    assert found.lora.target_modules == tuple(names)
