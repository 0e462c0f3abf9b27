"""Seq2SeqTrainer, recorded by one line: a tiny T5 learns to repeat, on a CPU, offline."""

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    set_seed,
)

from gradience.vnext.integrations.hf import GradienceCallback

OUTPUT_DIR = "seq2seq_trainer_output"


def examples(count: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Sequences of 8 tokens, to be repeated."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, 30, (count, 8), generator=generator)
    return [{"input_ids": row, "labels": row} for row in rows]


def main() -> None:
    """Builds the model, adds an adapter, trains."""
    set_seed(0)
    base = T5ForConditionalGeneration(
        T5Config(
            vocab_size=32, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            decoder_start_token_id=0,
        )
    )  # fmt: skip
    adapter = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM, r=4, lora_alpha=8, target_modules=["q", "v"]
    )
    trainer = Seq2SeqTrainer(
        model=get_peft_model(base, adapter),
        args=Seq2SeqTrainingArguments(
            output_dir=OUTPUT_DIR,
            max_steps=30,
            per_device_train_batch_size=8,
            learning_rate=3e-3,
            logging_steps=5,
            eval_strategy="steps",
            eval_steps=15,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
        ),
        train_dataset=examples(240, seed=1),
        eval_dataset=examples(32, seed=2),
        callbacks=[GradienceCallback()],
    )
    trainer.train()
    print(f"next: gradience monitor {OUTPUT_DIR}/run.jsonl")


if __name__ == "__main__":
    main()
