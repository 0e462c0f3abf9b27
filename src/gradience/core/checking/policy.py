"""Every threshold of the configuration rules, each with its source."""

from typing import NamedTuple

import attrs


class RateBand(NamedTuple):
    """Published starting rates of one family of objectives."""

    objectives: frozenset[str]
    named: str
    """The one that the guide names."""
    full: float
    """For full fine-tuning."""
    lora: float
    """For LoRA."""


PREFERENCE = frozenset({"dpo", "kto", "orpo", "simpo"})
"""Objectives over pairs or ratings of answers."""

REINFORCEMENT = frozenset({"grpo", "ppo", "rloo"})
"""Objectives over sampled answers and their rewards."""


@attrs.frozen(kw_only=True)
class CheckPolicy:
    """Every threshold of the configuration rules, each with its source."""

    lr_low: float = 2e-5
    """LoRA's rate is about ten times that of full fine-tuning (TRL's PEFT guide: SFT 2e-5 → 2e-4,
    after Thinking Machines 2025); the edge itself is inferred."""
    framework_rates: tuple[tuple[float, str], ...] = (
        (2e-5, "TRL's SFTConfig"),
        (5e-5, "Hugging Face's TrainingArguments"),
    )
    """Default rates of frameworks and whose they are (their sources); chosen for full
    fine-tuning, and what a run trains with where nobody thought of the rate."""
    lr_high: float = 5e-4
    """Upper end of the best rates in Biderman et al. 2024 (arXiv 2405.09673), 5e-5 to 5e-4."""
    lr_extreme: float = 1e-2
    """Twenty times the upper end; no published LoRA recipe comes near (inferred)."""
    rate_bands: tuple[RateBand, ...] = (
        RateBand(PREFERENCE, "DPO", 5e-7, 5e-6),
        RateBand(REINFORCEMENT, "GRPO", 1e-6, 1e-5),
    )
    """Full fine-tuning → LoRA, as TRL's PEFT guide has them for DPO and GRPO; that the other
    objectives of each family want the same is inferred."""
    band_excess: float = 10.0
    """How often above the published start of its family a rate is remarked on (inferred)."""
    lr_full_high: float = 1e-4
    """For full fine-tuning: twice the upper end of Axolotl's range, 1e-5 to 5e-5 (inferred)."""
    lr_start: float = 2e-4
    """LoRA's usual start for supervised training (TRL's PEFT guide; QLoRA at 7B and 13B)."""
    weight_decay_high: float = 0.1
    """Above it weight decay can suppress LoRA (Axolotl's stability guide)."""
    rank_high: int = 256
    """Largest rank that published recommendations name (Biderman et al. 2024; TRL's table)."""
    rank_studied: int = 64
    """Up to it QLoRA (arXiv 2305.14314) found quality not to depend on the rank, with all layers
    adapted."""
    rank_easy: int = 16
    """For an easy classification: LoRA's own Table 6 has rank 1 as good as 64 on MNLI; the edge is
    inferred."""
    scaling_usual: float = 2.0
    """s of the α = 2r of Biderman et al. 2024, for which the published rates are meant."""
    scaling_high: float = 4.0
    """Of α/r: twice the α = 2r of Biderman et al. 2024; the edge is inferred."""
    scaling_rank_floor: int = 8
    """Below it a large α/r is usual: TRL reproduces RL on maths with r = 1 and α = 32."""
    rslora_ratio: float = 2.0
    """α/r from which rsLoRA's s = α/√r is remarked on: α = 2r is advice for s = α/r (inferred)."""
    scaling_spread: float = 4.0
    """Ratio of the largest to the smallest s between modules that is remarked on (inferred)."""
    batch_high: float = 32.0
    """Effective batch that TRL's guide advises to stay below for LoRA; Thinking Machines' text
    names no fixed cut-off."""
    dropout_high: float = 0.2
    """Twice the largest of QLoRA's scripts, 0.1 at 7B (inferred)."""
    warmup_lr: float = 1e-4
    """Rate from which a missing warm-up is remarked on: the lower end of Axolotl's LoRA range,
    whose guide warms up for 5 to 10 % (inferred)."""
    epochs_high: float = 3.0
    """Unsloth's guide advises 1 to 3 epochs."""
    epochs_extreme: float = 30.0
    """Ten times that (inferred); QwenLM/Qwen#785 went wrong with 150."""
    tokens_per_parameter: float = 10.0
    """Tokens seen per trained parameter from which "far more tokens than parameters" is said
    (inferred)."""
    vllm_rank: int = 16
    """vLLM's default ``max_lora_rank`` (vllm/config/lora.py)."""
    vllm_ranks: tuple[int, ...] = (1, 8, 16, 32, 64, 128, 256, 320, 512)
    """The values that vLLM takes for ``max_lora_rank`` (vllm/config/lora.py, 2025)."""
    rank_outlier: float = 2.0
    """Largest rank over the usual one of a rank_pattern from which serving loses what the pattern
    saves (inferred)."""
    saved_share_high: float = 0.1
    """Share of the base model's parameters that fully saved modules make up (inferred)."""
