"""The stable Python entry points: each returns the frozen report that the command prints.

Each name is imported when it is first asked for, so that an audit does not wait for what only
monitor needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradience.api.appending import append_audit as append_audit
    from gradience.api.auditing import audit as audit
    from gradience.api.auditing import audit_lora_peft_dir as audit_lora_peft_dir
    from gradience.api.auditing import audit_lora_state_dict as audit_lora_state_dict
    from gradience.api.checking import check as check
    from gradience.api.converting import convert as convert
    from gradience.api.explaining import explain as explain
    from gradience.api.monitoring import monitor as monitor
    from gradience.api.monitoring_folder import monitor_folder as monitor_folder

__all__ = [
    "append_audit",
    "audit",
    "audit_lora_peft_dir",
    "audit_lora_state_dict",
    "check",
    "convert",
    "explain",
    "monitor",
    "monitor_folder",
]

_HOMES = {
    "append_audit": "appending",
    "audit": "auditing",
    "audit_lora_peft_dir": "auditing",
    "audit_lora_state_dict": "auditing",
    "check": "checking",
    "convert": "converting",
    "explain": "explaining",
    "monitor": "monitoring",
    "monitor_folder": "monitoring_folder",
}
"""Name → the module of this package that has it."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
