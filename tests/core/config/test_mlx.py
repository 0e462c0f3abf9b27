"""mlx-lm's configurations."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.mlx import mlx_snapshot
from gradience.core.config.overlay import with_ratio


def test_the_scale_is_what_multiplies_the_update() -> None:
    raw = {"lora_parameters": {"rank": 4, "alpha": 16, "scale": "20.0", "dropout": 0.1}}
    lora = mlx_snapshot({"model": "org/m", **raw}, "c.yaml").lora
    assert (lora.r, lora.alpha, lora.alpha_over_r, lora.dropout) == (4, 80.0, 20.0, 0.1)


def test_a_default_rank_takes_the_scale_with_it() -> None:
    found = mlx_snapshot({"lora_parameters": {"scale": 10.0}}, "c.yaml")
    assert default_source(found, "lora.r") == "mlx-lm"
    assert with_ratio(found).lora.alpha == 80.0


def test_without_a_scale_alpha_stays_unknown_whatever_is_written() -> None:
    lora = mlx_snapshot({"lora_parameters": {"rank": 8, "alpha": 16}}, "c.yaml").lora
    assert (lora.alpha, lora.alpha_over_r, lora.extras["written_alpha"]) == (None, None, 16.0)


@pytest.mark.parametrize(
    ("raw", "trained"),
    [
        ({"fine_tune_type": "dora"}, ("lora", True)),
        ({"fine_tune_type": "lora"}, ("lora", False)),
        ({"lora_parameters": {}, "use_dora": True}, ("lora", True)),
        ({"fine_tune_type": "full"}, ("full", None)),
    ],
)
def test_what_is_trained(raw: dict[str, object], trained: tuple[str, bool | None]) -> None:
    found = mlx_snapshot(raw, "c.yaml")
    assert (found.extras["finetuning"], found.lora.extras.get("use_dora")) == trained


def test_the_rest() -> None:
    raw = {
        "model": "/models/m",
        "iters": 100,
        "batch_size": 2,
        "optimizer": "adamw",
        "optimizer_config": {"adamw": {"weight_decay": 0.05}},
        "lr_schedule": {"name": "cosine_decay", "warmup": 10},
        "num_layers": 16,
        "mask_prompt": True,
        "lora_parameters": {"keys": ["self_attn.q_proj"]},
        "adapter_path": "/home/ann",
    }
    found = mlx_snapshot(raw, "c.yaml")
    assert (found.model_name, found.training.max_steps, found.training.batch_size) == ("m", 100, 2)
    assert (found.optimizer.name, found.optimizer.weight_decay) == ("adamw", 0.05)
    assert found.training.extras["lr_scheduler_type"] == "cosine_decay"
    assert found.training.extras["train_on_inputs"] is False
    assert found.lora.target_modules == ("self_attn.q_proj",)
    assert found.lora.extras["last_layers"] == 16
    assert (found.optimizer.lr, default_source(found, "optimizer.lr")) == (1e-5, "mlx-lm")
