"""Suggestions from an audit's JSON, this version's and the original's."""

import json

import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.from_audit import (
    suggest_global_ranks_from_audit,
    suggest_per_layer_ranks,
)
from tests.shared_data import SHARED, needs_shared_data


def _row(name: str, energy_rank: int | None = 2, r: int = 8) -> dict[str, object]:
    return {"name": name, "r": r, "energy_rank_90": energy_rank, "params": 10}


def _summary(*rows: dict[str, object], **keys: object) -> dict[str, object]:
    return {"layer_data": {"layer_rows": list(rows)}, **keys}


def test_rows_give_a_pattern_without_pefts_prefix() -> None:
    prefix = "base_model.model."
    summary = _summary(
        _row(f"{prefix}layers.0.attn.q", 7), _row(f"{prefix}layers.0.mlp.up"), _row("layers.1.q")
    )
    found = suggest_per_layer_ranks(summary)
    assert (found.default_r, found.rank_pattern) == (2, {"layers.0.attn.q": 8})
    assert found.by_module_type_p90 == {"attn": 8, "mlp": 2}


@pytest.mark.parametrize("summary", [{}, {"layer_data": {}}, {"layer_data": {"layer_rows": []}}])
def test_a_summary_without_rows_is_refused_with_the_remedy(summary: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--layers"):
        suggest_per_layer_ranks(summary)


def test_rows_that_do_not_read_are_refused() -> None:
    with pytest.raises(ConfigError, match="rows do not read"):
        suggest_per_layer_ranks(_summary({"name": "x"}))


@pytest.mark.parametrize(
    "extra", [{"current_r": 16}, {"global_suggestions": {"current_r": 16}}, None]
)
def test_the_present_rank_bounds_the_suggestion(extra: dict[str, object] | None) -> None:
    summary = {"energy_rank_90_p50": 2.5, "energy_rank_90_p90": 40.0, "total_lora_params": 7}
    rows = {} if extra else _summary(_row("a", r=16), _row("b", r=4))
    found = suggest_global_ranks_from_audit({**summary, **rows, **(extra or {})})
    assert (found.current_r, found.suggested_r_median, found.suggested_r_p90) == (16, 4, 16)
    assert (found.reduction_ratio_median, found.total_lora_params) == (0.75, 7)


def test_an_untrained_summary_gives_no_rank() -> None:
    found = suggest_global_ranks_from_audit({"current_r": 8, "energy_rank_90_p50": None})
    assert (found.suggested_r_median, found.suggested_r_p90) == (None, None)


def test_energy_ranks_alone_give_ranks_that_nothing_caps() -> None:
    summary: dict[str, object] = {"energy_rank_90_p50": 2.5, "energy_rank_90_p90": 65.0}
    found = suggest_global_ranks_from_audit(summary)
    assert (found.current_r, found.suggested_r_median, found.suggested_r_p90) == (None, 4, None)
    assert (found.reduction_ratio_median, found.reduction_ratio_p90) == (None, None)


@pytest.mark.parametrize(("summary", "found"), [({}, "nothing"), ({"colour": 1}, "colour")])
def test_a_summary_that_says_nothing_of_ranks_is_refused(
    summary: dict[str, object], found: str
) -> None:
    with pytest.raises(ConfigError, match=rf"expected energy_rank_90_p50.*found {found}\."):
        suggest_global_ranks_from_audit(summary)


@needs_shared_data
@pytest.mark.parametrize("name", ["fallback_scenario_audit", "sample_audit_for_explain"])
def test_the_originals_analyses_without_ranks_are_refused_by_their_keys(name: str) -> None:
    summary = json.loads((SHARED / f"gradience/audit_json/{name}.json").read_text())
    with pytest.raises(ConfigError, match=r"found .*policy_disagreement_analysis"):
        suggest_global_ranks_from_audit(summary)


@needs_shared_data
@pytest.mark.parametrize("name", ["probe_r16__audit", "cert_seed42_probe_r32__audit"])
def test_audits_of_the_original_are_read(name: str) -> None:
    summary = json.loads((SHARED / f"gradience/audit_json/{name}.json").read_text())
    overall = suggest_global_ranks_from_audit(summary)
    assert overall.current_r in {16, 32}
    assert 1 <= (overall.suggested_r_median or 0) <= (overall.suggested_r_p90 or 0)
    assert overall.suggested_r_median == summary["suggested_r_global_median"]
    found = suggest_per_layer_ranks(summary)
    assert len(found.layers) == 24
    assert not any(key.startswith("base_model") for key in found.rank_pattern)
