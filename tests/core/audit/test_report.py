"""The report as JSON: the contract's keys, strict JSON, and what the summaries keep."""

import json

import msgspec
import numpy as np
import pytest

from gradience.api import audit_lora_state_dict
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport
from tests.adapter_files import Q_PROJ, UP_PROJ, factors, lora_config, rows_of, state_dict

SUMMARY_KEYS = """
peft_dir adapter_config_path adapter_weights_path total_lora_params n_layers stable_rank_mean
stable_rank_median stable_rank_weighted_mean effective_rank_mean utilization_mean
energy_rank_90_p50 energy_rank_90_p90 suggested_r_global_median suggested_r_global_90 by_type
delta_sigma_max_scaled_mean delta_sigma_max_scaled_p50 delta_sigma_max_scaled_p90
delta_frob_norm_scaled_mean delta_frob_norm_scaled_p50 delta_frob_norm_scaled_p90 issues
udr_mean udr_median udr_p90 udr_max fraction_udr_gt_0_1 fraction_udr_gt_0_3 n_layers_with_udr
sdi_mean sdi_median sdi_p90 gain per_module_gain per_layer_gain global_gain composition
""".split()
ROW_KEYS = """
name module_type r alpha scale a_key b_key a_shape b_shape params stable_rank effective_rank
utilization sigma_max frob_sq energy_rank_90 energy_rank_95 energy_rank_99 delta_sigma_max
delta_fro_norm base_sigma_max base_fro_norm udr udr_f sdi top_singular_values
""".split()
TYPE_KEYS = """
n_layers params stable_rank_mean utilization_mean energy_rank_90_p50 energy_rank_90_p90
""".split()
SUGGESTION_KEYS = ["default_r", "rank_pattern", "by_module_type_p90", "layers", "notes"]


@pytest.fixture
def report() -> AuditReport:
    """Two modules, all sections; the second update is a hundred times larger."""
    a, b = factors(seed=1)
    modules = {Q_PROJ: factors(), UP_PROJ: (a, 100 * b)}
    policy = AuditPolicy(layers=True, suggest_per_layer=True, top_wasteful=1)
    return audit_lora_state_dict(state_dict(modules), lora_config(), policy=policy)


def test_the_contracts_keys_are_there(report: AuditReport) -> None:
    found = json.loads(msgspec.json.encode(report))
    assert set(SUMMARY_KEYS) <= found.keys()
    assert found["layer_data"]["layer_rows_schema"] == "v1"
    assert set(ROW_KEYS) <= found["layer_data"]["layer_rows"][0].keys()
    assert set(TYPE_KEYS) <= found["by_type"]["attn"].keys()
    assert set(SUGGESTION_KEYS) <= found["rank_suggestions"].keys()
    assert "concentration_index" in found["composition"]


def test_the_dictionary_is_plain_json(report: AuditReport) -> None:
    found = report.to_summary_dict(include_layers=True)
    as_text = json.dumps(found, allow_nan=False)
    assert json.loads(as_text) == json.loads(msgspec.json.encode(report))


def test_rows_are_left_out_unless_asked_for(report: AuditReport) -> None:
    assert "layer_data" not in report.to_summary_dict()
    assert "layer_data" in report.to_summary_dict(include_layers=True)


def test_the_top_rows_are_those_of_the_largest_updates(report: AuditReport) -> None:
    data = report.to_summary_dict(include_layers=True, topk_layers=1)["layer_data"]
    assert isinstance(data, dict)
    assert [row["name"] for row in data["layer_rows"]] == [UP_PROJ]


def test_asking_for_rows_leaves_the_report_alone(report: AuditReport) -> None:
    report.to_summary_dict(include_layers=True, topk_layers=1)
    assert len(rows_of(report)) == 2


def test_the_record_of_a_run_holds_no_tables(report: AuditReport) -> None:
    found = report.summary()
    assert not {"layer_data", "per_module_gain", "rank_suggestions", "findings"} & found.keys()
    assert found["stable_rank_mean"] == report.stable_rank_mean


def test_the_report_survives_its_json(report: AuditReport) -> None:
    assert msgspec.json.decode(msgspec.json.encode(report), type=AuditReport) == report


def test_an_adapter_with_bad_values_is_still_strict_json() -> None:
    a, b = factors()
    report = audit_lora_state_dict(state_dict({Q_PROJ: (a * np.nan, b)}), lora_config())
    json.dumps(report.to_summary_dict(include_layers=True), allow_nan=False)
    assert report.issues[0].startswith(Q_PROJ)
