"""torchtune's configurations."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.torchtune import torchtune_snapshot

LORA = {"_component_": "torchtune.models.llama3.lora_llama3_8b", "lora_attn_modules": ["q_proj"]}


def read(**keys: object) -> ConfigSnapshot:
    return torchtune_snapshot({"model": LORA, **keys}, "c.yaml")


def loss(name: str) -> dict[str, object]:
    return {"loss": {"_component_": f"torchtune.modules.loss.{name}"}}


def test_a_builder_with_lora_in_its_name_has_torchtunes_defaults() -> None:
    found = read()
    assert (found.lora.r, found.lora.alpha, found.lora.target_modules) == (8, 16.0, ("q_proj",))
    assert default_source(found, "lora.r") == "torchtune"
    assert found.model_name == "llama3_8b"


def test_targets_have_hugging_faces_names_and_the_original_words() -> None:
    model = {
        **LORA,
        "lora_attn_modules": ["q_proj", "output_proj"],
        "apply_lora_to_mlp": True,
        "apply_lora_to_output": True,
    }
    lora = read(model=model).lora
    assert lora.target_modules == (
        "q_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head",
    )  # fmt: skip
    assert lora.extras["lora_attn_modules"] == ["q_proj", "output_proj"]
    assert lora.extras["apply_lora_to_output"] is True


@pytest.mark.parametrize(
    ("model", "finetuning", "bits"),
    [
        (LORA, "lora", None),
        ({**LORA, "quantize_base": True}, "qlora", 4),
        ({"_component_": "torchtune.models.gemma2.qlora_gemma2_2b"}, "qlora", 4),
        ({"_component_": "torchtune.models.llama3.llama3_8b"}, "full", None),
    ],
)
def test_what_is_trained(model: dict[str, object], finetuning: str, bits: int | None) -> None:
    found = read(model=model, dtype="bf16")
    base = found.extras.get("quantization")
    assert found.extras["finetuning"] == finetuning
    expected = {"bits": 4, "scheme": "nf4", "compute_dtype": "bfloat16"} if bits else None
    assert base == expected
    assert (found.lora.r is None) is (finetuning == "full")


@pytest.mark.parametrize(
    ("keys", "objective"),
    [
        (loss("LinearCrossEntropyLoss"), "sft"),
        (loss("CEWithChunkedOutputLoss"), "sft"),
        (loss("DPOLoss"), "dpo"),
        (loss("RSOLoss"), "dpo"),
        (loss("SimPOLoss"), "simpo"),
        (loss("PPOLoss"), "ppo"),
        (loss("GRPOSimpleLoss"), "grpo"),
        ({"num_generations": 4}, "grpo"),
        ({**loss("LinearCrossEntropyLoss"), "teacher_model": {"_component_": "t.x"}},
         "distillation"),
        ({**loss("LinearCrossEntropyLoss"),
          "dataset": {"_component_": "torchtune.datasets.text_completion_dataset"}}, "pretrain"),
        ({}, None),
    ],
)  # fmt: skip
def test_the_loss_tells_the_objective(keys: dict[str, object], objective: str | None) -> None:
    assert read(**keys).training.extras.get("objective") == objective


@pytest.mark.parametrize(
    ("keys", "norm", "tool"),
    [
        ({}, None, "torchtune"),
        ({"clip_grad_norm": None}, None, None),
        ({"clip_grad_norm": 1.0}, 1.0, None),
        ({"clip_grad_norm": "${norm}", "norm": 0.3}, 0.3, None),
    ],
)
def test_without_a_norm_nothing_is_clipped(
    keys: dict[str, object], norm: float | None, tool: str | None
) -> None:
    found = read(**keys)
    assert found.training.extras["max_grad_norm"] == norm
    assert default_source(found, "training.extras.max_grad_norm") == tool


@pytest.mark.parametrize(
    ("cap", "epochs", "steps"), [(100, 2, 200), (None, 2, None), (0, 2, None), (100, None, None)]
)
def test_the_cap_of_an_epoch_caps_the_run(
    cap: int | None, epochs: int | None, steps: int | None
) -> None:
    assert read(max_steps_per_epoch=cap, epochs=epochs).training.max_steps == steps


def test_references_are_followed_and_names_shortened() -> None:
    found = read(
        lr=3e-4,
        optimizer={"_component_": "bitsandbytes.optim.PagedAdamW8bit", "lr": "${lr}"},
        checkpointer={"checkpoint_dir": "${home}/Llama-3.1-8B/"},
        home="/home/ann",
        lr_scheduler={"_component_": "x.get_cosine_schedule_with_warmup", "num_warmup_steps": 5},
        quantizer={
            "_component_": "torchtune.training.quantization.Int8DynActInt4WeightQATQuantizer"
        },
    )
    assert (found.optimizer.name, found.optimizer.lr) == ("PagedAdamW8bit", 3e-4)
    assert found.model_name == "Llama-3.1-8B"
    assert found.training.extras["lr_scheduler_type"] == "cosine"
    assert found.extras["quantization_aware"] == "Int8DynActInt4WeightQATQuantizer"


def test_what_leads_nowhere_is_named() -> None:
    assert read(batch_size="${oc.env:BATCH}").extras["unread"] == ["batch_size"]


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ({"_component_": "torchtune.datasets.alpaca_dataset"}, "alpaca_dataset"),
        ({"_component_": "torchtune.datasets.chat_dataset", "source": "org/chat"}, "org/chat"),
        ([{"_component_": "a.first"}, {"_component_": "a.second"}], "first"),
        ([], None),
    ],
)
def test_the_data_set(dataset: object, name: str | None) -> None:
    assert read(dataset=dataset).dataset_name == name


def test_metas_weights_are_named_after_the_models_folder() -> None:
    found = read(checkpointer={"checkpoint_dir": "/data/Meta-Llama-3-8B-Instruct/original/"})
    assert found.model_name == "Meta-Llama-3-8B-Instruct"
