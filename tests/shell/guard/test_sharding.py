"""Where the guard must stay off."""

from types import SimpleNamespace

import pytest
import torch

from gradience.shell.guard.sharding import sharded_because

MODEL = torch.nn.Linear(2, 2)
PLAIN = SimpleNamespace(deepspeed=None, fsdp=None)


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD(MODEL.parameters(), lr=0.1)


def wrapped(kind: str) -> SimpleNamespace:
    """An optimizer as accelerate wraps it."""
    state = SimpleNamespace(distributed_type=SimpleNamespace(value=kind))
    return SimpleNamespace(optimizer=optimizer(), accelerator_state=state)


@pytest.mark.parametrize("kind", ["NO", "MULTI_GPU", "MULTI_CPU"])
def test_one_process_and_data_parallelism_are_fine(kind: str) -> None:
    assert sharded_because(MODEL, wrapped(kind), PLAIN) is None
    assert sharded_because(MODEL, optimizer(), None) is None


@pytest.mark.parametrize(
    ("arguments", "name"), [({"deepspeed": {"zero": 3}}, "DeepSpeed"), ({"fsdp": True}, "FSDP")]
)
def test_the_trainers_options_tell(arguments: dict[str, object], name: str) -> None:
    reason = sharded_because(MODEL, optimizer(), SimpleNamespace(**arguments))
    assert reason is not None
    assert reason.startswith(f"{name} spreads weights and optimizer state over the processes")


@pytest.mark.parametrize(
    ("kind", "name"), [("FSDP", "FSDP"), ("DEEPSPEED", "DeepSpeed"), ("MEGATRON_LM", "Megatron")]
)
def test_accelerate_tells(kind: str, name: str) -> None:
    reason = sharded_because(MODEL, wrapped(kind), PLAIN)
    assert reason is not None
    assert reason.startswith(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("FullyShardedDataParallel", "FSDP"),
        ("FSDPModule", "FSDP"),
        ("DeepSpeedEngine", "DeepSpeed"),
    ],
)
def test_the_classes_of_modules_tell(name: str, told: str) -> None:
    base = type(name, (torch.nn.Module,), {})
    inner = type("Mixed", (base,), {})()
    reason = sharded_because(torch.nn.Sequential(MODEL, inner), optimizer(), PLAIN)
    assert reason is not None
    assert reason.startswith(told)


def test_the_class_of_the_wrapped_optimizer_tells() -> None:
    zero = type("DeepSpeedZeroOptimizer", (), {})()
    reason = sharded_because(MODEL, SimpleNamespace(optimizer=zero), PLAIN)
    assert reason is not None
    assert reason.startswith("DeepSpeed")
