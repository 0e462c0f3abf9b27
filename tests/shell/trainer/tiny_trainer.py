"""A real Trainer on a model of a few thousand parameters."""

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from gradience.vnext.telemetry_reader import TelemetryReader

Rows = list[dict[str, torch.Tensor]]


def rows(count: int, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 20, (count, 8), generator=generator)
    return [{"input_ids": row, "labels": (row[0] > 9).long()} for row in tokens]


def tiny_model(rank: int = 2) -> PeftModel:
    set_seed(0)
    base = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=20, dim=16, hidden_dim=16, n_layers=1, n_heads=2)
    )
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=8, target_modules=["q_lin", "v_lin"]
    )
    model = get_peft_model(base, config)
    assert isinstance(model, PeftModel)
    return model


def tiny_trainer(
    out: Path,
    callback: TrainerCallback,
    *,
    model: torch.nn.Module | None = None,
    eval_sets: Rows | dict[str, Rows] | None = None,
    **arguments: object,
) -> Trainer:
    """A Trainer of eight steps that logs every second one."""
    settings: dict[str, object] = {
        "max_steps": 8,
        "per_device_train_batch_size": 4,
        "logging_steps": 2,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        **arguments,
    }
    trainer = Trainer(
        model=model or tiny_model(),
        args=TrainingArguments(output_dir=str(out), **settings),  # type: ignore[arg-type]  # settings of many types
        train_dataset=rows(64),
        eval_dataset=rows(16, 1) if eval_sets is None else eval_sets,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def names(path: Path) -> list[str]:
    """The events of a file, by name, each run of equal ones once."""
    found: list[str] = []
    for event in TelemetryReader(path).iter_events():
        name = str(event.__struct_config__.tag)
        if found[-1:] != [name]:
            found.append(name)
    return found
