"""The import lines of the public contract work, and name the very same objects."""

import importlib
import subprocess
import sys

import pytest

import gradience.api

PATHS = {
    "gradience.vnext.telemetry": ["TelemetryWriter"],
    "gradience.vnext.telemetry_reader": ["TelemetryReader"],
    "gradience.vnext.types": [
        "TELEMETRY_SCHEMA_VERSION",
        "ConfigSnapshot",
        "EvalMetrics",
        "LoraSnapshot",
        "OptimizerSnapshot",
        "Recommendation",
        "Severity",
        "SignalSnapshot",
        "TaskProfile",
        "TrainingSnapshot",
    ],
    "gradience.vnext.rank_suggestion": [
        "suggest_global_ranks_from_audit",
        "suggest_per_layer_ranks",
    ],
    "gradience.vnext.audit": ["audit_lora_peft_dir", "audit_lora_state_dict"],
    "gradience.vnext.audit.rank_policies": [
        "RankPolicySpec",
        "RankSuggestion",
        "apply_rank_policy",
    ],
    "gradience.api": ["audit", "monitor", "check"],
    "gradience.vnext.experimental.guard": ["LoRAGuard"],
}
METHODS = {
    ("gradience.vnext.telemetry", "TelemetryWriter"): (
        "run_start train_step eval metrics alert recommendation run_end __enter__ __exit__"
    ),
    ("gradience.vnext.telemetry_reader", "TelemetryReader"): (
        "iter_events latest_config latest_eval latest_eval_event summarize validate issues"
    ),
    ("gradience.vnext.audit", "AuditReport"): "to_summary_dict",
    ("gradience.vnext.experimental.guard", "LoRAGuard"): (
        "snapshot rollback check_triggers can_attempt_rollback snapshot_count memory_usage_mb "
        "n_rollbacks"
    ),
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PATHS.items() for name in names]
)
def test_contract_names_import(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("place", "methods"), METHODS.items())
def test_contract_classes_have_their_methods(place: tuple[str, str], methods: str) -> None:
    found = getattr(importlib.import_module(place[0]), place[1])
    assert [name for name in methods.split() if not hasattr(found, name)] == []


@pytest.mark.parametrize("module", PATHS)
def test_everything_public_exists(module: str) -> None:
    found = importlib.import_module(module)
    assert set(PATHS[module]) <= set(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


def test_vnext_re_exports_the_api() -> None:
    audit = importlib.import_module("gradience.vnext.audit")
    assert audit.audit_lora_peft_dir is gradience.api.audit_lora_peft_dir


def test_the_schema_is_version_one() -> None:
    types = importlib.import_module("gradience.vnext.types")
    assert types.TELEMETRY_SCHEMA_VERSION == "gradience.vnext.telemetry/v1"


TRAINING = "gradience.vnext.experimental.guard"
"""Works on torch's own objects."""


@pytest.mark.parametrize("module", [*(path for path in PATHS if path != TRAINING), "gradience"])
def test_importing_brings_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit(bool({{'torch', 'transformers'}} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)
