"""ms-swift's configurations."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.ms_swift import ms_swift_snapshot
from gradience.core.config.snapshot import ConfigSnapshot


def read(**keys: object) -> ConfigSnapshot:
    return ms_swift_snapshot({"model": "Qwen/Qwen2.5-7B-Instruct", **keys}, "args.json")


def test_a_few_lines_get_its_defaults() -> None:
    found = read(dataset=["swift/self-cognition#1000", "/home/ann/own.jsonl"])
    lora = found.lora
    assert (lora.r, lora.alpha, lora.dropout, lora.target_modules) == (8, 32.0, 0.05, "all-linear")
    assert (found.optimizer.lr, found.optimizer.weight_decay) == (1e-4, 0.1)
    assert (found.training.batch_size, found.training.gradient_accumulation) == (1, None)
    assert found.extras["finetuning"] == "lora"
    assert default_source(found, "optimizer.lr") == "ms-swift"
    assert found.dataset_name == "swift/self-cognition,own.jsonl"


@pytest.mark.parametrize(
    ("keys", "finetuning", "peft_type", "lr"),
    [
        ({"train_type": "full", "lora_rank": 8}, "full", None, 1e-5),
        ({"tuner_type": "adalora"}, "adalora", "ADALORA", 1e-4),
        ({"tuner_type": "lora", "quant_bits": 4}, "qlora", None, 1e-4),
        ({"sft_type": "longlora"}, "longlora", None, 1e-4),
        ({"tuner_type": "llamapro"}, "llamapro", None, 1e-4),
    ],
)
def test_what_is_trained(
    keys: dict[str, object], finetuning: str, peft_type: str | None, lr: float
) -> None:
    found = read(**keys)
    assert (found.extras["finetuning"], found.extras.get("peft_type")) == (finetuning, peft_type)
    assert found.optimizer.lr == lr
    assert (found.lora.r is not None) is (finetuning in {"qlora", "longlora"})


@pytest.mark.parametrize(
    ("keys", "objective"),
    [
        ({"rlhf_type": "dpo"}, "dpo"),
        ({"rlhf_type": "grpo"}, "grpo"),
        ({"rlhf_type": "rm"}, "reward"),
        ({"rlhf_type": "gkd"}, "distillation"),
        ({"rlhf_type": "cpo", "loss_type": "simpo"}, "simpo"),
        ({"use_chat_template": False}, "pretrain"),
        ({"task_type": "seq_cls"}, "classification"),
        ({"task_type": "causal_lm"}, None),
    ],
)
def test_the_objective(keys: dict[str, object], objective: str | None) -> None:
    assert read(**keys).training.extras.get("objective") == objective


@pytest.mark.parametrize(
    ("keys", "base"),
    [
        (
            {"quant_method": "bnb", "quant_bits": "4", "bnb_4bit_compute_dtype": "bfloat16"},
            {"bits": 4, "scheme": "nf4", "compute_dtype": "bfloat16", "double_quant": True},
        ),
        ({"quant_method": "bnb", "quant_bits": 8}, {"bits": 8, "scheme": "int8"}),
        ({"quant_method": "hqq", "quant_bits": 3}, {"bits": 3, "scheme": "hqq"}),
        ({"quant_method": "fp8"}, {"scheme": "fp8"}),
        ({"quant_bits": 0}, None),
    ],
)
def test_the_base(keys: dict[str, object], base: dict[str, object] | None) -> None:
    assert read(**keys).extras.get("quantization") == base


def test_settings_of_the_adapter() -> None:
    found = read(
        target_regex=r".*\.q_proj",
        init_weights="true",
        lorap_lr_ratio=16,
        modules_to_save=["lm_head"],
        lora_dtype="bf16",
        lora_bias="all",
        torch_dtype="bfloat16",
    )
    assert found.lora.target_modules == r".*\.q_proj"
    assert found.lora.extras["init_lora_weights"] is True
    assert found.lora.extras["modules_to_save"] == ["lm_head"]
    assert (found.lora.bias, found.optimizer.extras["loraplus_lr_ratio"]) == ("all", 16.0)
    assert found.training.extras["parameter_dtype"] == "bfloat16"
    assert found.training.dtype == "bfloat16"


def test_a_written_args_json_says_its_targets_as_a_list() -> None:
    found = read(target_modules=["all-linear"], max_steps=-1, num_train_epochs=1.0, lr=None)
    assert found.lora.target_modules == "all-linear"
    assert (found.training.max_steps, found.training.epochs) == (None, 1.0)


def test_version_2_has_names_of_its_own() -> None:
    found = read(
        sft_type="lora",
        lora_target_modules=["q_proj", "v_proj"],
        lora_dropout_p=0.1,
        lora_bias_trainable="all",
        batch_size=4,
        dtype="fp16",
        quantization_bit=4,
        bnb_4bit_comp_dtype="fp16",
    )
    assert (found.lora.target_modules, found.lora.dropout) == (("q_proj", "v_proj"), 0.1)
    assert (found.lora.bias, found.training.batch_size) == ("all", 4)
    assert (found.training.dtype, found.extras["finetuning"]) == ("float16", "qlora")
    assert found.extras["quantization"] == {
        "bits": 4,
        "scheme": "nf4",
        "compute_dtype": "float16",
        "double_quant": True,
    }


@pytest.mark.parametrize("targets", [None, ["DEFAULT"], ["AUTO"]])
def test_version_2_chose_its_targets_by_the_model(targets: list[str] | None) -> None:
    assert read(sft_type="lora", lora_target_modules=targets).lora.target_modules is None
