"""The same as hf_trainer_example.py, with the callback's settings spelled out as flags."""

import argparse
from pathlib import Path

from hf_trainer_example import examples
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("hf_trainer_run_output"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--notes", default=None)
    parser.add_argument(
        "--telemetry-allow-text", action="store_true", help="keep long strings in the telemetry"
    )
    return parser.parse_args()


def main() -> None:
    """Trains with two evaluation sets, each recorded under its own name."""
    given = parse()
    set_seed(0)
    base = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=50, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
    )
    adapter = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=given.rank,
        lora_alpha=2 * given.rank,
        target_modules=["q_lin", "v_lin"],
    )
    recorder = GradienceCallback(
        GradienceCallbackConfig(
            dataset_name="generated-tokens",
            task_profile="easy_classification",
            notes=given.notes,
            telemetry_allow_text=given.telemetry_allow_text,
        )
    )
    train_rows = examples(640, seed=1)
    trainer = Trainer(
        model=get_peft_model(base, adapter),
        args=TrainingArguments(
            output_dir=str(given.out),
            max_steps=given.steps,
            per_device_train_batch_size=16,
            learning_rate=3e-3,
            logging_steps=5,
            eval_strategy="steps",
            eval_steps=max(1, given.steps // 3),
            save_strategy="no",
            report_to=[],
            use_cpu=True,
        ),
        train_dataset=train_rows,
        eval_dataset={"train": train_rows[:128], "test": examples(128, seed=2)},
        callbacks=[recorder],
    )
    trainer.train()
    print(f"next: gradience monitor {given.out}/run.jsonl")


if __name__ == "__main__":
    main()
