"""What is read of an audit's JSON, this version's and the original's."""

import json

import msgspec
import pytest

from gradience.core.errors import ConfigError
from gradience.core.explaining.audit_evidence import audit_evidence
from gradience.core.ranks.disagreement import policy_table
from tests.shared_data import SHARED, needs_shared_data

PREFIX = "base_model.model."


def _original(**rationale: object) -> dict[str, object]:
    layer = {"layer_name": f"{PREFIX}h.0.q", "flagging_rationale": {"spread": 6, **rationale}}
    return {"policy_disagreement_analysis": {"all_layers_with_disagreement": [layer]}}


def test_rows_policies_and_suggestions_of_this_version() -> None:
    table = policy_table({"a.q": {"knee": 1, "erank": 8}}, {"a.q": 1.0}, ["knee", "erank"])
    found = audit_evidence(
        {
            "layer_data": {"layer_rows": [{"name": "a.q", "r": 8, "delta_fro_norm": 2.0}]},
            "rank_policies": msgspec.to_builtins(table),
            "rank_suggestions": {"layers": [{"name": "a.q", "suggested_r": 4}, {"name": "b"}]},
        }
    )
    assert found.names == ("a.q",)
    assert found.rows["a.q"].update_norm == 2.0
    assert found.verdicts["a.q"] == table.modules[0]
    assert found.suggestions == {"a.q": 4}


def test_prefixes_fall_off_everywhere() -> None:
    rows = [{"name": f"{PREFIX}a.q", "r": 8, "frob_norm_scaled": 3.0, "sigma_max_scaled": 2.0}]
    suggestions = {"layers": [{"name": f"{PREFIX}a.q", "suggested_r": 2.0}]}
    found = audit_evidence({"layers": rows, "per_layer_suggestions": suggestions})
    assert found.names == ("a.q",)
    assert (found.rows["a.q"].update_norm, found.rows["a.q"].update_sigma_max) == (3.0, 2.0)
    assert found.suggestions == {"a.q": 2}


def test_the_originals_rationale_becomes_a_verdict() -> None:
    found = audit_evidence(
        _original(
            k_values=[8, 2],
            policies=["energy@0.90", "knee"],
            spread_threshold=4.0,
            meets_spread_threshold=True,
            importance_share=0.5,
            uniform_mult=2.0,
            priority_score=3.0,
            flagged_as_high_impact=True,
        )
    ).verdicts["h.0.q"]
    assert found.k_by_policy == {"energy@0.90": 8, "knee": 2}
    assert (found.spread, found.spread_threshold, found.disagree) == (6, 4.0, True)
    assert (found.importance_share, found.uniform_mult, found.priority_score) == (0.5, 2.0, 3.0)
    assert (found.flagged, found.reasons) == (True, ())


@pytest.mark.parametrize(
    ("rationale", "reasons"),
    [
        ({"failed_reasons": ["below_uniform_mult_threshold"]}, ["a uniform share"]),
        ({"failed_reasons": ["insufficient_spread"]}, ["the policies lie close together"]),
        ({"failed_reasons": ["moon"]}, ["moon"]),
        (
            {"meets_uniform_mult_threshold": False, "is_flat_distribution": True},
            ["a uniform share", "importance is spread evenly over the layers"],
        ),
        ({"meets_quantile_threshold": False}, ["below the quantile of importance"]),
    ],
)
def test_the_originals_reasons_are_told_in_words(
    rationale: dict[str, object], reasons: list[str]
) -> None:
    found = audit_evidence(_original(**rationale)).verdicts["h.0.q"]
    assert not found.flagged
    assert found.disagree == ("the policies lie close together" not in reasons)
    for told, expected in zip(found.reasons, reasons, strict=True):
        assert expected in told


@pytest.mark.parametrize(
    "audit", [{}, {"summary": {}, "issues": []}, {"layer_data": {"layer_rows": []}}]
)
def test_a_file_without_modules_is_refused_with_the_remedy(audit: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"expected layer_data .* found .* Audit with --layers"):
        audit_evidence(audit)


@pytest.mark.parametrize(
    ("audit", "what"),
    [
        ({"layers": [{"name": "x"}]}, "layer rows do not read: .*`r`"),
        ({"layers": 5}, "layer rows do not read"),
        ({"rank_policies": {"policies": []}}, "rank_policies do not read"),
    ],
)
def test_sections_that_do_not_read_are_refused(audit: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        audit_evidence(audit)


@needs_shared_data
@pytest.mark.parametrize(
    ("file", "rows", "verdicts", "suggestions"),
    [
        ("cert_seed42_probe_r32__audit.json", 24, 0, 24),
        ("probe_r16__audit.json", 24, 0, 24),
        ("sample_audit_for_explain.json", 0, 3, 0),
        ("fallback_scenario_audit.json", 0, 4, 0),
    ],
)
def test_the_originals_files_are_read(
    file: str, rows: int, verdicts: int, suggestions: int
) -> None:
    text = (SHARED / "gradience" / "audit_json" / file).read_text(encoding="utf-8")
    found = audit_evidence(json.loads(text))
    assert (len(found.rows), len(found.verdicts), len(found.suggestions)) == (
        rows,
        verdicts,
        suggestions,
    )
