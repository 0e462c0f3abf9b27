"""TRL's SFTTrainer, recorded by one line. Needs ``pip install trl``; CPU, nothing downloaded."""

from datasets import Dataset
from peft import LoraConfig
from tiny_text import tiny_llama, tiny_tokenizer
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

from gradience.vnext.integrations.hf import GradienceCallback

OUTPUT_DIR = "trl_sft_output"

SENTENCES = [
    f"the {who} {does} a {whom} near the {where} ."
    for who in ("cat", "dog", "king")
    for does in ("sees", "likes", "follows")
    for whom in ("bird", "cat", "dog")
    for where in ("hill", "river")
]


def main() -> None:
    """Fine-tunes an adapter on a few sentences."""
    set_seed(0)
    rows = Dataset.from_dict({"text": SENTENCES})
    parts = rows.train_test_split(test_size=0.2, seed=0)
    trainer = SFTTrainer(
        model=tiny_llama(),
        processing_class=tiny_tokenizer(),
        args=SFTConfig(
            output_dir=OUTPUT_DIR,
            max_steps=24,
            per_device_train_batch_size=8,
            learning_rate=3e-3,
            logging_steps=4,
            eval_strategy="steps",
            eval_steps=12,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"),
        callbacks=[GradienceCallback()],
    )
    trainer.train()
    print(f"next: gradience monitor {OUTPUT_DIR}/run.jsonl")


if __name__ == "__main__":
    main()
