"""What the real configurations say, read by eye: values, and where they are the tool's own."""

from typing import NamedTuple

ALL = "all-linear"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
SEVEN = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
TORCHTUNE = ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BF16 = "bfloat16"


class Golden(NamedTuple):
    """The values of one configuration; None where neither file nor tool says anything."""

    path: str
    """Below ``configs/`` of the real files."""
    lr: float | None
    r: int | None
    alpha: float | None
    targets: tuple[str, ...] | str | None
    batch: int | None
    accumulation: int | None
    epochs: float | None
    max_steps: int | None
    dtype: str | None
    bits: int | None
    objective: str | None
    finetuning: str | None
    max_grad_norm: float | None


AX, LF, TT = "axolotl/", "llamafactory/", "torchtune/"
AH, TRL = "trl_alignment_handbook/", "trl_example/"
AXOLOTL_7 = ("gate_proj", "down_proj", "up_proj", "q_proj", "v_proj", "k_proj", "o_proj")

# fmt: off
GOLDEN = (
    # path, rate, r, alpha, targets, batch, accumulation, epochs, steps, dtype, bits, objective …
    Golden(AX + "archived__falcon__config-7b-qlora.yml",
           2e-4, 64, 16, ALL, 1, 2, 4, None, BF16, 4, "sft", "qlora", 1.0),
    Golden(AX + "gemma3__gemma-3-270m-qlora.yml",
           2e-4, 32, 16, ALL, 1, 4, 1, None, BF16, 4, "sft", "qlora", 1.0),
    Golden(AX + "llama-2__relora.yml",
           2e-4, 8, 16, ALL, 4, 4, 4, None, BF16, 4, "sft", "relora", 1.0),
    Golden(AX + "llama-3__instruct-dpo-lora-8b.yml",
           2e-4, 32, 16, ALL, 2, 4, 4, None, BF16, 8, "dpo", "lora", 1.0),
    Golden(AX + "llama-3__lora-1b.yml",
           2e-4, 16, 32, AXOLOTL_7, 2, 2, 1, None, BF16, None, "sft", "lora", 1.0),
    Golden(AX + "llama-3__lora-8b.yml",
           2e-4, 32, 16, ALL, 2, 4, 4, None, BF16, 8, "sft", "lora", 1.0),
    Golden(AX + "llama-3__qlora-1b-kto.yaml",
           2e-4, 32, 64, ALL, 2, 1, 1, None, BF16, 4, "kto", "qlora", 1.0),
    Golden(AX + "mistral__dpo__mistral-dpo-qlora.yml",
           1e-4, 8, 16, ALL, 16, 4, 6, None, BF16, 4, "dpo", "qlora", 1.0),
    Golden(LF + "extras__loraplus__llama3_lora_sft.yaml",
           1e-4, 8, 16, ALL, 1, 8, 3, None, BF16, None, "sft", "lora", 1.0),
    Golden(LF + "train_full__qwen3_full_sft.yaml",
           1e-5, None, None, None, 1, 2, 3, None, BF16, None, "sft", "full", 1.0),
    Golden(LF + "train_lora__qwen3_lora_dpo.yaml",
           5e-6, 8, 16, ALL, 1, 8, 3, None, BF16, None, "dpo", "lora", 1.0),
    Golden(LF + "train_lora__qwen3_lora_kto.yaml",
           5e-6, 8, 16, ALL, 1, 8, 3, None, BF16, None, "kto", "lora", 1.0),
    Golden(LF + "train_lora__qwen3_lora_reward.yaml",
           1e-4, 8, 16, ALL, 1, 8, 3, None, BF16, None, "reward", "lora", 1.0),
    Golden(LF + "train_lora__qwen3_lora_sft.yaml",
           1e-4, 8, 16, ALL, 1, 8, 3, None, BF16, None, "sft", "lora", 1.0),
    Golden(LF + "train_qlora__qwen3_lora_sft_otfq.yaml",
           1e-4, 8, 16, ALL, 1, 8, 3, None, BF16, 4, "sft", "qlora", 1.0),
    Golden(LF + "v1__train_lora__train_lora_sft.yaml",
           1e-4, 16, 32, ALL, 1, None, None, 10, None, None, None, "lora", None),
    Golden(TT + "gemma2__2B_qlora_single_device.yaml",
           2e-5, 64, 128, TORCHTUNE, 4, 8, 1, None, BF16, 4, "sft", "qlora", None),
    Golden(TT + "llama2__7B_lora.yaml",
           3e-4, 8, 16, TORCHTUNE, 2, 8, 1, None, BF16, None, "sft", "lora", None),
    Golden(TT + "llama3_1__8B_lora_dpo_single_device.yaml",
           5e-4, 8, 16, TORCHTUNE, 4, 8, 1, 1000, BF16, None, "dpo", "lora", None),
    Golden(TT + "llama3_2__1B_lora_single_device.yaml",
           3e-4, 64, 128, TORCHTUNE, 4, 8, 1, None, BF16, None, "sft", "lora", None),
    Golden(TT + "llama3_2__8B_to_1B_KD_lora_single_device.yaml",
           3e-4, 64, 128, TORCHTUNE, 4, 8, 1, None, BF16, None, "distillation", "lora", None),
    Golden(TT + "llama3__8B_dora_single_device.yaml",
           3e-4, 8, 16, TORCHTUNE, 2, 8, 1, None, BF16, None, "sft", "lora", None),
    Golden(AH + "smollm2__sft__config.yaml",
           3e-4, None, None, None, 4, 4, 2, None, BF16, None, "sft", "full", 1.0),
    Golden(AH + "smollm3__dpo__apo.yaml",
           1e-6, None, None, None, 1, 2, 1, None, BF16, None, "dpo", "full", 0.2),
    Golden(AH + "zephyr-7b-beta__dpo__config_qlora.yaml",
           5e-6, 128, 128, SEVEN, 4, 4, 1, None, BF16, 4, "dpo", "qlora", 1.0),
    Golden(AH + "zephyr-7b-beta__sft__config_qlora.yaml",
           2e-4, 16, 16, SEVEN, 4, 2, 1, None, BF16, 4, "sft", "qlora", 1.0),
    Golden(TRL + "example_config.yaml",
           1e-4, None, None, None, 8, 1, 3, None, None, None, None, "full", 1.0),
    Golden("training_args_json_grpo/training_args.json",
           2e-4, None, None, None, 6, 2, 3, 100, "float16", None, "grpo", None, 1.0),
    Golden("training_args_json_whisper/training_args.json",
           1e-4, None, None, None, 4, 2, 20, None, None, None, None, None, 1.0),
)
"""Every configuration of the shared data but the adapters' and Gradience's own."""
# fmt: on
