"""TRL's DPOTrainer, recorded by one line. Needs ``pip install trl``; CPU, nothing downloaded."""

from datasets import Dataset
from peft import LoraConfig
from tiny_text import tiny_llama, tiny_tokenizer
from transformers import set_seed
from trl import DPOConfig, DPOTrainer

from gradience.vnext.integrations.hf import GradienceCallback

OUTPUT_DIR = "trl_dpo_output"

PAIRS = [
    {"prompt": f"does the {who} like the {whom} ?", "chosen": " yes .", "rejected": " no ."}
    for who in ("cat", "dog", "bird", "king")
    for whom in ("cat", "dog", "bird", "king")
]


def main() -> None:
    """Prefers one answer over the other."""
    set_seed(0)
    trainer = DPOTrainer(
        model=tiny_llama(),
        processing_class=tiny_tokenizer(),
        args=DPOConfig(
            output_dir=OUTPUT_DIR,
            max_steps=12,
            per_device_train_batch_size=4,
            learning_rate=3e-3,
            logging_steps=3,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_list(PAIRS),
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"),
        callbacks=[GradienceCallback()],
    )
    trainer.train()
    print(f"next: gradience monitor {OUTPUT_DIR}/run.jsonl")


if __name__ == "__main__":
    main()
