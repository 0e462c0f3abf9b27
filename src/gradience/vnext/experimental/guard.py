"""The guard under its contract path."""

from gradience.core.guard.policy import GuardPolicy
from gradience.shell.guard.lora_guard import LoRAGuard

__all__ = ["GuardPolicy", "LoRAGuard"]
