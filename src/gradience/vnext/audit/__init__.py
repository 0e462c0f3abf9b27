"""The audit under its contract path."""

from gradience.api import audit_lora_peft_dir, audit_lora_state_dict
from gradience.core.audit.report import AuditReport, Finding, LayerRow

__all__ = [
    "AuditReport",
    "Finding",
    "LayerRow",
    "audit_lora_peft_dir",
    "audit_lora_state_dict",
]
