"""What a TRL run optimises, by the keys that only one trainer has."""

import dataclasses

import pytest

from gradience.core.config.objectives import OBJECTIVES, trl_objective


@pytest.mark.parametrize(
    ("raw", "objective"),
    [
        ({"beta": 0.1}, "dpo"),
        ({"beta": 0.1, "loss_type": "apo_zero"}, "dpo"),
        ({"beta": 0.1, "loss_type": "apo_zero_unpaired"}, "kto"),
        ({"loss_type": "ipo"}, "dpo"),
        ({"beta": 0.04, "num_generations": 8, "max_prompt_length": 5}, "grpo"),
        ({"beta": 0.1, "desirable_weight": 1.0}, "kto"),
        ({"beta": 0.1, "loss_type": "simpo"}, "simpo"),
        ({"num_generations": 2, "normalize_advantages": None}, "rloo"),
        ({"teacher_model_name_or_path": "t", "beta": 1.0}, "distillation"),
        ({"center_rewards_coefficient": None}, "reward"),
        ({"vf_coef": 0.1}, "ppo"),
        ({"packing": False}, "sft"),
        ({"max_seq_length": 1}, "sft"),
        ({"packing": False, "loss_type": "dft"}, "sft"),
        ({"loss_type": ["sigmoid", "sft"]}, None),
        ({"learning_rate": 1}, None),
    ],
)
def test_keys_tell_the_objective(raw: dict[str, object], objective: str | None) -> None:
    assert trl_objective(raw) == objective
    assert objective is None or objective in OBJECTIVES


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("SFTConfig", "sft"),
        ("DPOConfig", "dpo"),
        ("GRPOConfig", "grpo"),
        ("KTOConfig", "kto"),
        ("RewardConfig", "reward"),
        ("RLOOConfig", "rloo"),
    ],
)
def test_all_fields_of_trls_own_configs_tell_their_trainer(name: str, objective: str) -> None:
    trl = pytest.importorskip("trl")
    fields = dataclasses.fields(getattr(trl, name))
    dump = {field.name: None if callable(field.default) else field.default for field in fields}
    assert trl_objective(dump) == objective
