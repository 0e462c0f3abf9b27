"""From the names of a live model's parameters to the names of the base model's modules."""

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "base_model.model.")
"""What data parallelism, ``torch.compile``, FSDP and PEFT put before a name."""

ADAPTER_PARTS = frozenset({"modules_to_save", "original_module", "token_adapter"})
"""Components of a name below which everything belongs to an adapter (source: the PEFT package)."""

LORA_PREFIX = "lora_"
"""Begins the components that hold LoRA's own parameters, of whatever kind."""


def base_module_name(path: str) -> str:
    """A module's name in the base model: the path without the wrappers before it."""
    while wrapper := next((wrapper for wrapper in WRAPPERS if path.startswith(wrapper)), None):
        path = path[len(wrapper) :]
    return path


def owner_of(parameter: str) -> str:
    """The base model's module that a parameter belongs to, or whose update it is part of.

    Args:
        parameter: A name as ``named_parameters`` gives it.

    Returns:
        The module's name: of ``…q_proj.lora_A.default.weight`` and ``…q_proj.weight`` alike that
        of ``q_proj``; empty for a parameter of the model itself.
    """
    parts = base_module_name(parameter).split(".")
    for place, part in enumerate(parts):
        if part in ADAPTER_PARTS or part.startswith(LORA_PREFIX):
            return ".".join(parts[:place])
    return ".".join(parts[:-1])
