"""``gradience check``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]

GOOD = {
    "model_name": "m",
    "task_profile": "generation",
    "optimizer": {"lr": 2e-4, "weight_decay": 0.0},
    "lora": {"r": 16, "alpha": 32, "target_modules": "all-linear"},
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD))
    return path


def actions(result: CliResult) -> list[str]:
    found = result.json["recommendations"]
    assert isinstance(found, list)
    return [item["action"] for item in found]


def test_good_config_is_ok_and_says_nothing_else(cli: Cli, good: Path) -> None:
    result = cli("check", good, "--json")
    assert (result.code, result.err, actions(result)) == (0, "", ["config_ok"])


def test_json_has_the_contract_keys(cli: Cli, good: Path) -> None:
    assert {"config", "recommendations"} <= cli("check", good, "--json").json.keys()


def test_flags_override_the_file(cli: Cli, good: Path) -> None:
    result = cli("check", good, "--lr", "5", "--r", "8", "--alpha", "16", "--json")
    assert actions(result) == ["lower_lr"]
    config = result.json["config"]
    assert isinstance(config, dict)
    assert (config["optimizer"]["lr"], config["lora"]["alpha_over_r"]) == (5.0, 2.0)


def test_config_overrides_peft_and_peft_overrides_training(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["fc1"]})
    )
    (tmp_path / "training_args.json").write_text(
        json.dumps({"learning_rate": 1e-4, "per_device_train_batch_size": 2, "seed": 3})
    )
    config = tmp_path / "own.yaml"
    config.write_text("optimizer: {lr: 3e-4}\nlora: {r: 8}\n")
    result = cli(
        "check", config, "--peft-dir", tmp_path / "peft", "--training-dir", tmp_path, "--json"
    )
    found = result.json["config"]
    assert isinstance(found, dict)
    assert found["optimizer"]["lr"] == 3e-4
    assert (found["lora"]["r"], found["lora"]["alpha"]) == (8, 4.0)
    assert (found["training"]["batch_size"], found["training"]["seed"]) == (2, 3)


def test_an_unknown_task_profile_given_beats_the_files(cli: Cli, good: Path) -> None:
    profiles = {}
    for given in (None, "unknown", "easy_classification"):
        flags = [] if given is None else ["--task-profile", given]
        config = cli("check", good, *flags, "--json").json["config"]
        assert isinstance(config, dict)
        profiles[given] = config["task_profile"]
    assert profiles == {
        None: "generation",
        "unknown": "unknown",
        "easy_classification": "easy_classification",
    }


def test_a_task_profile_that_is_none_is_refused_with_the_choices(cli: Cli) -> None:
    result = cli("check", "--task-profile", "poetry")
    assert result.code == 2
    assert "easy_classification" in result.err


def test_the_view_shows_the_scaling_of_the_report(cli: Cli) -> None:
    result = cli("check", "--r", "16", "--alpha", "40")
    assert "scaling s" in result.out
    assert "2.5" in result.out


@pytest.mark.parametrize("flag", ["--dataset", "--task"])
def test_task_is_an_alias_of_dataset(cli: Cli, flag: str) -> None:
    config = cli("check", flag, "gsm8k", "--json").json["config"]
    assert isinstance(config, dict)
    assert config["dataset_name"] == "gsm8k"


@pytest.mark.parametrize(
    ("level", "code"), [("never", 0), ("info", 1), ("error", 1), ("critical", 0)]
)
def test_fail_on_turns_findings_into_exit_code_1(
    cli: Cli, good: Path, level: str, code: int
) -> None:
    assert cli("check", good, "--lr", "5", "--fail-on", level).code == code


def test_attention_alone_is_questioned_with_source_and_refutation(cli: Cli) -> None:
    result = cli("check", "--targets", "q_proj,v_proj", "--verbose")
    assert "review_target_modules" in result.out
    assert "refuted by" in result.out
    assert "Biderman" in result.out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("axolotl.yml", "base_model: m\nmicro_batch_size: 2\n", "Axolotl"),
        ("lf.yaml", "finetuning_type: lora\nstage: sft\n", "LLaMA-Factory"),
        ("broken.json", "{", "expected JSON"),
        ("list.json", "[1]", "expected a mapping"),
        ("typo.json", '{"optimizer": {"lrr": 1}}', "lrr"),
        ("training_args.bin", "x", "pickle"),
    ],
)
def test_unreadable_input_exits_2_and_says_why(
    cli: Cli, tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    result = cli("check", path)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert name in result.err


def test_missing_file_exits_2(cli: Cli, tmp_path: Path) -> None:
    result = cli("check", tmp_path / "nothing.json")
    assert result.code == 2
    assert "No such file" in result.err


@pytest.mark.parametrize("args", [["--lr", "fast"], ["--no-such-flag"], ["a.json", "b.json"]])
def test_bad_usage_exits_2_on_stderr(cli: Cli, args: list[str]) -> None:
    result = cli("check", *args)
    assert (result.code, result.out) == (2, "")
    assert result.err
