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


@pytest.mark.parametrize(
    ("flag", "targets"),
    [
        ("q_proj, v_proj", ["q_proj", "v_proj"]),
        ("ALL-linear", "all-linear"),
        (r".*\.(q|v)_proj", r".*\.(q|v)_proj"),
    ],
)
def test_targets_are_names_an_expression_or_all_linear(
    cli: Cli, flag: str, targets: object
) -> None:
    config = cli("check", "--targets", flag, "--json").json["config"]
    assert isinstance(config, dict)
    assert config["lora"]["target_modules"] == targets


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


def rules(result: CliResult) -> list[str]:
    found = result.json["recommendations"]
    assert isinstance(found, list)
    return [item["evidence"]["rule"] for item in found if item["action"] != "config_ok"]


ATTENTION = ["check", "--targets", "q_proj,v_proj", "--lr", "0.001", "--r", "32", "--json"]


def test_rules_are_selected_and_ignored(cli: Cli) -> None:
    assert rules(cli(*ATTENTION, "--select", "GR1,attention-only")) == ["GR102", "GR201"]
    assert rules(cli(*ATTENTION, "--select", "GR2", "--ignore", "GR202")) == ["GR201"]
    assert "GR102" not in rules(cli(*ATTENTION, "--ignore", "GR1"))
    assert actions(cli(*ATTENTION, "--select", "GR402")) == ["config_ok"]


@pytest.mark.parametrize("flag", ["--select", "--ignore"])
def test_an_unknown_rule_exits_2_and_says_what_was_expected(cli: Cli, flag: str) -> None:
    result = cli(*ATTENTION, flag, "GR1,E501")
    assert (result.code, result.out) == (2, "")
    assert f"{flag}: expected codes of rules" in result.err
    assert "'E501'" in result.err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder to work in; its pyproject.toml is still to be written."""
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return tmp_path / "project" / "pyproject.toml"


def test_the_projects_table_is_respected(cli: Cli, project: Path) -> None:
    project.write_text('[tool.gradience]\nselect = ["GR1", "GR2"]\nignore = ["GR202"]\n')
    assert rules(cli(*ATTENTION)) == ["GR102", "GR201"]


def test_flags_beat_the_projects_table(cli: Cli, project: Path) -> None:
    project.write_text('[tool.gradience]\nselect = ["GR1"]\nignore = ["GR202"]\n')
    assert rules(cli(*ATTENTION, "--select", "GR2")) == ["GR201", "GR202"]
    assert rules(cli(*ATTENTION, "--ignore", "GR102")) == []


def test_an_ignored_rule_of_the_project_stays_ignored_beside_a_flags(
    cli: Cli, project: Path
) -> None:
    project.write_text('[tool.gradience]\nselect = ["GR102", "GR2"]\nignore = ["GR202"]\n')
    assert rules(cli(*ATTENTION, "--ignore", "GR1")) == ["GR201"]


def test_the_projects_thresholds_are_applied(cli: Cli, project: Path) -> None:
    project.write_text("[tool.gradience.thresholds]\nlr_high = 0.002\nrank_high = 16\n")
    found = rules(cli(*ATTENTION))
    assert "GR102" not in found
    assert "GR301" in found


def test_the_projects_profile_is_that_of_configs_without_one(
    cli: Cli, project: Path, good: Path
) -> None:
    project.write_text('[tool.gradience]\ntask-profile = "easy_classification"\n')
    assert "GR202" not in rules(cli(*ATTENTION))
    assert "GR202" in rules(cli(*ATTENTION, "--task-profile", "unknown"))
    config = cli("check", good, "--json").json["config"]
    assert isinstance(config, dict)
    assert config["task_profile"] == "generation"


def test_the_project_says_what_fails_and_a_flag_beats_it(cli: Cli, project: Path) -> None:
    project.write_text('[tool.gradience]\nfail-on = "warning"\n')
    assert cli(*ATTENTION).code == 1
    assert cli(*ATTENTION, "--fail-on", "never").code == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("slect = []", "'slect'"),
        ('select = ["GR1", "E5"]', "[tool.gradience] select: expected codes"),
        ('ignore = ["E5"]', "[tool.gradience] ignore: expected codes"),
        ("thresholds = {lr_hgh = 1}", "'lr_hgh'"),
    ],
)
def test_a_wrong_table_exits_2_with_file_and_key(
    cli: Cli, project: Path, table: str, words: str
) -> None:
    project.write_text(f"[tool.gradience]\n{table}\n")
    result = cli(*ATTENTION)
    assert (result.code, result.out) == (2, "")
    assert str(project) in result.err
    assert words in result.err


def test_the_view_shows_codes_and_effective_values(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "lora: {r: 8, alpha: 16, target_modules: [q_proj], extras: {rank_pattern: {q_proj: 64}}}\n"
        "training: {batch_size: 2, gradient_accumulation: 8, extras: {objective: sft}}\n"
    )
    shown = cli("check", config).out
    assert "GR201 review_target_modules" in shown
    for words in (
        "largest rank",
        "64 (vLLM: max_lora_rank=64)",
        "effective batch",
        "16",
        "objective",
        "sft",
    ):
        assert words in shown


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
}


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA))
    return path


def test_targets_and_patterns_are_judged_on_the_model(cli: Cli, llama: Path) -> None:
    config = llama.with_name("own.yaml")
    config.write_text(
        "lora: {r: 8, alpha: 16, target_modules: [q_proj, w1], "
        "extras: {modules_to_save: [lm_head], rank_pattern: {'layers[.]9[.].*': 4}}}\n"
    )
    result = cli("check", config, "--model", llama, "--json", "--select", "GR8,GR9")
    assert rules(result) == ["GR806", "GR902", "GR903", "GR804"]
    fit = result.json["model"]
    assert isinstance(fit, dict)
    assert (fit["unmatched_targets"], fit["max_rank"]) == (["w1"], 8)


def test_a_model_without_any_target_is_an_error(cli: Cli, llama: Path) -> None:
    result = cli("check", "--targets", "w1", "--r", "8", "--model", llama, "--fail-on", "error")
    assert result.code == 1
    assert "GR903 set_target_modules" in result.out


def test_the_view_shows_the_model(cli: Cli, llama: Path) -> None:
    result = cli("check", "--targets", "all-linear", "--r", "8", "--alpha", "16", "--model", llama)
    assert "llama, 2 layers" in result.out


def test_the_view_shows_the_scaling_of_the_report(cli: Cli) -> None:
    result = cli("check", "--r", "16", "--alpha", "40")
    assert "scaling s" in result.out
    assert "2.5" in result.out


def test_the_view_shows_settings_as_they_were_set(cli: Cli) -> None:
    shown = cli("check", "--r", "512", "--alpha", "8192", "--lr", "0.000125").out
    assert "512, 8192" in shown
    assert "0.000125" in shown


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
        ("state.json", '{"log_history": []}', "trainer_state.json"),
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
