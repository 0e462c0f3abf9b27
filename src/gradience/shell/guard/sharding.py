"""Whether weights or optimizer state are spread over processes, told by the names of classes."""

import torch

_TRAINER_OPTIONS = {"deepspeed": "DeepSpeed", "fsdp": "FSDP"}
"""Options of the Trainer's arguments that shard, and what they switch on."""

_CLASSES = {
    "DeepSpeedEngine": "DeepSpeed",
    "DeepSpeedOptimizerWrapper": "DeepSpeed",
    "DeepSpeedZeroOptimizer": "DeepSpeed",
    "DeepSpeedZeroOptimizer_Stage3": "DeepSpeed",
    "FullyShardedDataParallel": "FSDP",
    "XlaFullyShardedDataParallel": "FSDP",
    "FSDPModule": "FSDP",
    "ZeroRedundancyOptimizer": "ZeRO",
    "DTensor": "tensor parallelism",
}
"""Classes of models, optimizers and parameters that are sharded, by name."""

_DISTRIBUTED_TYPES = {"FSDP": "FSDP", "DEEPSPEED": "DeepSpeed", "MEGATRON_LM": "Megatron-LM"}
"""Values of accelerate's ``distributed_type`` that shard."""


def sharded_because(model: torch.nn.Module, optimizer: object, args: object) -> str | None:
    """Why no process holds the whole adapter and its optimizer state.

    Args:
        model: The model, wrapped or not.
        optimizer: The optimizer, wrapped by accelerate or not.
        args: The Trainer's arguments; None in a loop without them.

    Returns:
        A sentence; None where each process holds everything (one process, or plain data
        parallelism).
    """
    found = _sharding(model, optimizer, args)
    if found is None:
        return None
    return (
        f"{found} spreads weights and optimizer state over the processes, and a snapshot of one "
        "process's part cannot be restored safely"
    )


def _sharding(model: torch.nn.Module, optimizer: object, args: object) -> str | None:
    for option, name in _TRAINER_OPTIONS.items():
        if getattr(args, option, None):
            return name
    state = getattr(optimizer, "accelerator_state", None)
    kind = getattr(getattr(state, "distributed_type", None), "value", None)
    if isinstance(kind, str) and kind in _DISTRIBUTED_TYPES:
        return _DISTRIBUTED_TYPES[kind]
    inner = getattr(optimizer, "optimizer", None)
    for thing in (optimizer, inner, *model.modules(), *model.parameters()):
        for parent in type(thing).__mro__:
            if parent.__name__ in _CLASSES:
                return _CLASSES[parent.__name__]
    return None
