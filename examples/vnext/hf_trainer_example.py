"""The one line in a Trainer script: ``callbacks=[GradienceCallback()]``.

A tiny classifier is trained on generated data, on a CPU, with nothing downloaded; the record is
at hf_trainer_example_output/run.jsonl.
"""

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

from gradience.vnext.integrations.hf import GradienceCallback

MARKED_TOKEN = 5

OUTPUT_DIR = "hf_trainer_example_output"


def examples(count: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Sequences of 16 tokens; the label says whether the marked token is among them."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(1, 25, (count, 16), generator=generator)
    return [{"input_ids": row, "labels": (row == MARKED_TOKEN).any().long()} for row in rows]


def main() -> None:
    """Builds the model, adds an adapter, trains."""
    set_seed(0)
    base = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=50, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
    )
    adapter = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=4, lora_alpha=8, target_modules=["q_lin", "v_lin"]
    )
    trainer = Trainer(
        model=get_peft_model(base, adapter),
        args=TrainingArguments(
            output_dir=OUTPUT_DIR,
            max_steps=60,
            per_device_train_batch_size=16,
            learning_rate=3e-3,
            logging_steps=5,
            eval_strategy="steps",
            eval_steps=20,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
        ),
        train_dataset=examples(640, seed=1),
        eval_dataset=examples(128, seed=2),
        callbacks=[GradienceCallback()],
    )
    trainer.train()
    print(f"next: gradience monitor {OUTPUT_DIR}/run.jsonl")


if __name__ == "__main__":
    main()
