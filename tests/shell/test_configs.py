"""Configuration files on disk: real ones of five tools read, or are refused by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gradience.core.errors import ConfigError
from gradience.shell.configs import find_peft_config, find_training_args, load_config
from tests.shared_data import DATA, SHARED, needs_shared_data

TOOLS = {
    "axolotl": "an Axolotl config",
    "llamafactory": "a LLaMA-Factory config",
    "torchtune": "a torchtune config",
    "trl_alignment_handbook": "a TRL / alignment-handbook config",
    "trl_example": "a TRL / alignment-handbook config",
}
FOREIGN = sorted(
    path
    for tool in TOOLS
    for path in (SHARED / "configs" / tool).glob("*")
    if path.suffix in {".yml", ".yaml", ".json"}
)
TRAINING_ARGS = sorted((SHARED / "configs").glob("**/training_args.json"))
BENCHES = sorted(
    path
    for path in (SHARED / "gradience" / "bench_yaml").glob("*.yaml")
    if path.name != "safe_uniform.yaml"
)
MLX = SHARED / "adapters" / "mlx_lora_adapter" / "adapter_config.json"
ADAPTERS = sorted({*SHARED.glob("adapter*/**/adapter_config.json")} - {MLX})


def place(path: Path) -> str:
    return "/".join(path.parts[-2:])


@needs_shared_data
def test_the_real_configs_are_all_there() -> None:
    assert (len(FOREIGN), len(TRAINING_ARGS), len(BENCHES)) == (27, 2, 6)
    assert len(ADAPTERS) > 35


@needs_shared_data
@pytest.mark.parametrize("path", FOREIGN, ids=place)
def test_a_config_of_another_tool_is_refused_by_name(path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"found {TOOLS[path.parent.name]}, which this version"):
        load_config(path)


@needs_shared_data
@pytest.mark.parametrize("path", TRAINING_ARGS, ids=place)
def test_real_training_arguments_give_their_rate(path: Path) -> None:
    rates = {"training_args_json_grpo": 2e-4, "training_args_json_whisper": 1e-4}
    assert load_config(path).optimizer.lr == rates[path.parent.name]


@needs_shared_data
def test_real_training_arguments_in_full() -> None:
    found = load_config(SHARED / "configs" / "training_args_json_grpo" / "training_args.json")
    assert (found.optimizer.name, found.optimizer.weight_decay) == ("paged_adamw_8bit", 0.1)
    assert (found.training.batch_size, found.training.max_steps) == (6, 100)
    assert (found.training.seed, found.training.dtype) == (3407, "float16")


@needs_shared_data
@pytest.mark.parametrize("path", BENCHES, ids=place)
def test_a_real_bench_gives_its_probe(path: Path) -> None:
    found = load_config(path)
    assert found.model_name
    assert found.dataset_name
    assert found.lora.r in {8, 16, 32, 64}


@needs_shared_data
def test_a_bench_policy_is_no_config() -> None:
    with pytest.raises(ConfigError, match=r"found a configuration of an unknown layout"):
        load_config(SHARED / "gradience" / "bench_yaml" / "safe_uniform.yaml")


@needs_shared_data
@pytest.mark.parametrize("path", ADAPTERS, ids=place)
def test_every_real_adapter_config_reads(path: Path) -> None:
    found = load_config(path)
    assert ("peft_type" in found.extras) == (found.lora.r is None)


class Numbers(NamedTuple):
    """What a real adapter_config.json says."""

    folder: str
    r: int
    alpha: float
    targets: tuple[str, ...] | str | None


@needs_shared_data
@pytest.mark.parametrize(
    "numbers",
    [
        Numbers("adapters/bert_r8_seqcls", 8, 32.0, ("query", "value")),
        Numbers("adapters/opencalm1b_r1_fp16", 1, 32.0, ("query_key_value",)),
        Numbers("adapters/distilbert_udacity_on_head", 8, 32.0, "classifier"),
        Numbers("adapters/gradience_tiny_lora", 8, 16.0, ("c_attn", "c_proj")),
        Numbers("adapter_configs/peft_method_comparison/lora-rslora", 64, 64.0, None),
    ],
    ids=lambda numbers: numbers.folder,
)
def test_the_numbers_of_a_real_adapter(numbers: Numbers) -> None:
    lora = load_config(SHARED / numbers.folder / "adapter_config.json").lora
    assert (lora.r, lora.alpha, lora.target_modules) == numbers[1:]
    assert lora.alpha_over_r == numbers.alpha / numbers.r


@needs_shared_data
def test_rslora_and_patterns_stand_in_the_extras() -> None:
    configs = SHARED / "adapter_configs"
    rslora = load_config(configs / "peft_method_comparison/lora-rslora/adapter_config.json")
    pattern = load_config(configs / "gradience_per_layer_rank_pattern/adapter_config.json")
    assert rslora.lora.extras["use_rslora"] is True
    ranks = pattern.lora.extras["rank_pattern"]
    assert isinstance(ranks, dict)
    assert len(ranks) == 24


@needs_shared_data
def test_an_mlx_adapter_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"found an mlx-lm adapter config"):
        load_config(MLX)


def test_the_originals_check_config_reads() -> None:
    found = load_config(DATA / "gradience" / "vnext_check_config.json")
    assert (found.model_name, found.optimizer.lr) == ("mistral-7b", 2e-4)
    assert (found.lora.r, found.lora.alpha, found.training.max_steps) == (32, 32.0, 200)


@pytest.mark.parametrize("name", ["training_args.bin", "a.pt", "a.pkl"])
def test_a_pickle_is_never_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(ConfigError, match=r"found a pickle.*json\.dump\(args\.to_dict\(\)"):
        load_config(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a file, found a folder.*--peft-dir"):
        load_config(tmp_path)


def test_files_are_found_in_their_folder(tmp_path: Path) -> None:
    for name in ("adapter_config.json", "training_args.json"):
        (tmp_path / name).touch()
    assert find_peft_config(tmp_path) == tmp_path / "adapter_config.json"
    assert find_training_args(tmp_path) == tmp_path / "training_args.json"


def test_a_folder_without_the_file_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"found a folder with notes\.txt\. Name the folder"):
        find_peft_config(tmp_path)
    with pytest.raises(ConfigError, match=r"found no such folder"):
        find_peft_config(tmp_path / "none")


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ConfigError, match=r"cannot read the folder: Permission denied"):
        find_training_args(tmp_path)


def test_pickled_training_arguments_are_named_in_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").touch()
    with pytest.raises(ConfigError, match=r"training_args\.bin is a pickle and is not read"):
        find_training_args(tmp_path)
