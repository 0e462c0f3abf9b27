"""What a run optimises, by the keys that only one kind of trainer has."""

from collections.abc import Mapping

SFT = "sft"

PRETRAIN = "pretrain"

DPO = "dpo"

REWARD = "reward"

DISTILLATION = "distillation"

CLASSIFICATION = "classification"

OBJECTIVES = frozenset(
    "sft pretrain dpo kto orpo simpo grpo rloo ppo reward distillation classification".split()
)
"""The words under ``training.extras.objective``."""

_SFT_KEYS = (
    "dataset_text_field max_seq_length packing eval_packing dataset_kwargs "
    "completion_only_loss assistant_only_loss"
)

_TRL_MARKS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (objective, frozenset(keys.split()))
    for objective, keys in (
        (DISTILLATION, "teacher_model_name_or_path teacher_model_init_kwargs seq_kd"),
        ("rloo", "rloo_k normalize_advantages reward_clip_range"),
        ("grpo", "num_generations reward_funcs reward_weights scale_rewards epsilon_high"),
        ("ppo", "vf_coef cliprange kl_coef num_ppo_epochs missing_eos_penalty whiten_rewards"),
        ("kto", "desirable_weight undesirable_weight"),
        (REWARD, "center_rewards_coefficient"),
        ("simpo", "simpo_gamma"),
        (DPO, "beta precompute_ref_log_probs ref_model_init_kwargs model_adapter_name"),
        (SFT, _SFT_KEYS),
    )
)
"""Keys of TRL's configs by trainer, the most particular first: a dump of all of a GRPOConfig has
``beta`` too (source: the trl package, 1.16, and the names of older versions)."""

_LOSSES: Mapping[str, str] = {
    "kto": "kto",
    "apo_zero_unpaired": "kto",
    "orpo": "orpo",
    "simpo": "simpo",
    "nll": SFT,
    "dft": SFT,
    "chunked_nll": SFT,
    "grpo": "grpo",
    "dr_grpo": "grpo",
    "bnpo": "grpo",
    "dapo": "grpo",
    "sigmoid": DPO,
    "hinge": DPO,
    "ipo": DPO,
    "robust": DPO,
    "sppo_hard": DPO,
    "apo_zero": DPO,
    "apo_down": DPO,
}
"""TRL's ``loss_type`` where it tells the trainer."""


def trl_objective(raw: Mapping[str, object]) -> str | None:
    """The objective of a TRL configuration.

    Args:
        raw: Its top level; a key counts with any value, for a dump holds the nulls too.

    Returns:
        A word of :data:`OBJECTIVES`; None where no key tells.
    """
    found = next((objective for objective, keys in _TRL_MARKS if keys & raw.keys()), None)
    loss = raw.get("loss_type")
    by_loss = _LOSSES.get(loss) if isinstance(loss, str) else None
    if by_loss is not None and found in {None, DPO, SFT}:
        return by_loss
    return found
