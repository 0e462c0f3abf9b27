"""Configuration files on disk: real ones of every tool give the values that the eye reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import pytest

from gradience.core.config.overlay import with_ratio
from gradience.core.errors import ConfigError
from gradience.shell.configs import find_peft_config, find_training_args, load_config
from tests.shared_data import DATA, SHARED, needs_shared_data
from tests.shell.golden_configs import GOLDEN, Golden

FOREIGN = sorted(
    path for path in (SHARED / "configs").glob("*/*") if path.suffix in {".yml", ".yaml", ".json"}
)
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
    assert len(BENCHES) == 6
    assert {golden.path for golden in GOLDEN} == {place(path) for path in FOREIGN}
    assert len(ADAPTERS) > 35


@needs_shared_data
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.path)
def test_a_real_config_says_what_the_eye_reads(golden: Golden) -> None:
    assert read(SHARED / "configs" / golden.path, golden.path) == golden


COPIES = {
    "axolotl_lora_8b.yml": "axolotl/llama-3__lora-8b.yml",
    "llama_factory_qlora_sft.yaml": "llamafactory/train_qlora__qwen3_lora_sft_otfq.yaml",
    "trl_dpo_qlora.yaml": "trl_alignment_handbook/zephyr-7b-beta__dpo__config_qlora.yaml",
}
"""Real configs that ship with the tests, and where their golden values stand."""


@pytest.mark.parametrize(("copy", "original"), COPIES.items())
def test_a_shipped_config_says_what_the_eye_reads(copy: str, original: str) -> None:
    golden = next(golden for golden in GOLDEN if golden.path == original)
    assert read(DATA / "configs" / copy, original) == golden


def read(path: Path, name: str) -> Golden:
    """The values of a configuration as ``check`` takes them."""
    config = with_ratio(load_config(path))
    training, base = config.training, config.extras.get("quantization", {})
    assert isinstance(base, dict)
    return Golden(
        path=name,
        lr=config.optimizer.lr,
        r=config.lora.r,
        alpha=config.lora.alpha,
        targets=config.lora.target_modules,
        batch=training.batch_size,
        accumulation=training.gradient_accumulation,
        epochs=training.epochs,
        max_steps=training.max_steps,
        dtype=training.dtype,
        bits=base.get("bits"),
        objective=cast("str | None", training.extras.get("objective")),
        finetuning=cast("str | None", config.extras.get("finetuning")),
        max_grad_norm=cast("float | None", training.extras.get("max_grad_norm")),
    )


@needs_shared_data
@pytest.mark.parametrize("path", FOREIGN, ids=place)
def test_no_path_account_or_token_of_a_real_config_is_kept(path: Path) -> None:
    text = json.dumps(msgspec.to_builtins(load_config(path)))
    for private in (
        "/tmp",  # noqa: S108 (looked for, not used)
        "outputs",
        "output_dir",
        "hub_",
        "HUB_TOKEN",
        "wandb",
        "saves/",
        "001716c6e116",
    ):
        assert private not in text


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
def test_an_mlx_adapter_is_scaled_by_its_scale_and_not_by_its_alpha() -> None:
    lora = load_config(MLX).lora
    assert (lora.r, lora.alpha, lora.alpha_over_r) == (8, 80.0, 10.0)
    assert (lora.extras["written_alpha"], lora.extras["last_layers"]) == (16.0, 4)


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
