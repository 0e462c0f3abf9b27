"""The defaults of TRL's configs where they differ from the Trainer's."""

from collections.abc import Mapping
from typing import NamedTuple

TRL_MODEL = "TRL's ModelConfig"

TRL_LORA: Mapping[str, object] = {
    "lora.r": 16,
    "lora.alpha": 32.0,
    "lora.dropout": 0.05,
    "lora.extras.use_rslora": False,
    "lora.extras.use_dora": False,
}
"""The adapter that ``use_peft`` alone gives (source: the trl package, 1.16, ModelConfig)."""

TRL_FULL: Mapping[str, object] = {"extras.finetuning": "full"}
"""Without ``use_peft`` TRL trains every weight."""


class Rate(NamedTuple):
    """A default learning rate, ready to fill in, and whose it is."""

    values: Mapping[str, object]
    tool: str


_RATES: Mapping[str, tuple[float, str]] = {
    "sft": (2e-5, "SFTConfig"),
    "dpo": (1e-6, "DPOConfig"),
    "kto": (1e-6, "KTOConfig"),
    "orpo": (1e-6, "ORPOConfig"),
    "grpo": (1e-6, "GRPOConfig"),
    "rloo": (1e-6, "RLOOConfig"),
    "reward": (1e-4, "RewardConfig"),
}
"""By objective (source: the trl package, 1.16)."""


def trl_rate(objective: str | None) -> Rate:
    """TRL's learning rate for an objective; nothing to fill in where it is not known."""
    found = _RATES.get(objective or "")
    if found is None:
        return Rate({}, "TRL")
    return Rate({"optimizer.lr": found[0]}, f"TRL's {found[1]}")
