"""Explanations of single modules, by hand and from the original's files."""

import json

import msgspec
import pytest

from gradience.core.errors import ConfigError
from gradience.core.explaining.explain import NO_NULL, NO_POLICIES, NO_ROW, explain_layer
from gradience.core.explaining.report import LayerExplanation
from gradience.core.ranks.disagreement import policy_table
from gradience.core.spectra.null_baseline import NullComparison
from tests.shared_data import SHARED, needs_shared_data

NULL = NullComparison(
    stable_rank_null=13.8,
    effective_rank_null=15.98,
    energy_rank_90_null=15.0,
    utilization_null=13.8 / 16,
    stable_rank_z=-47.0,
    effective_rank_z=-900.0,
    utilization_vs_null=2.5 / 13.8,
)


def _row(name: str = "layers.0.attn.q", **changes: object) -> dict[str, object]:
    row = {
        "name": name,
        "status": "ok",
        "r": 16,
        "params": 1000,
        "stable_rank": 2.5,
        "effective_rank": 11.2,
        "utilization": 2.5 / 16,
        "energy_rank_90": 7,
        "energy_rank_95": 9,
        "energy_rank_99": 13,
        "delta_fro_norm": 3.0,
        "delta_sigma_max": 2.0,
        **msgspec.to_builtins(NULL),
    }
    return {**row, **changes}


def _audit(*rows: dict[str, object], **sections: object) -> dict[str, object]:
    return {"layer_data": {"layer_rows": list(rows)}, **sections}


def _explain(*rows: dict[str, object], **sections: object) -> LayerExplanation:
    return explain_layer(_audit(*rows, **sections), "0.attn.q")


def _table(**ranks: int) -> dict[str, object]:
    modules = {"layers.0.attn.q": ranks, "layers.1.attn.q": dict.fromkeys(ranks, 2)}
    importance = {"layers.0.attn.q": 9.0, "layers.1.attn.q": 1.0}
    table = policy_table(modules, importance, list(ranks))
    table = msgspec.structs.replace(table, caveats=("mind the gap",))
    built: dict[str, object] = msgspec.to_builtins(table)
    return built


def test_a_full_row_is_told_whole() -> None:
    found = _explain(_row(expert=3), rank_policies=_table(knee=1, erank=12))
    assert (found.name, found.module_type) == ("layers.0.attn.q", "attn")
    assert (found.status, found.r, found.params, found.expert) == ("ok", 16, 1000, 3)
    assert found.spectrum is not None
    assert found.spectrum.first_share == pytest.approx(0.4)
    assert found.spectrum.reading == "The first of 16 directions holds 40% of Σσ²; 7 hold 90%."
    assert (found.spectrum.delta_fro_norm, found.spectrum.delta_sigma_max) == (3.0, 2.0)
    assert [(p.policy, p.k) for p in found.policies] == [("knee", 1), ("erank", 12)]
    assert found.policies_source == "the audit's rank policies"
    assert (found.caveats, found.missing) == (("mind the gap",), ())


def test_the_null_fields_of_a_row_are_those_of_the_comparison() -> None:
    found = _explain(_row()).null
    assert found is not None
    for name in NullComparison.__struct_fields__:
        assert getattr(found, name) == getattr(NULL, name)


@pytest.mark.parametrize(
    ("z", "reading"),
    [
        (-47.0, "Fewer directions dominate than in a random update"),
        (-1.9, "Not to be told from a random update"),
        (1.9, "Not to be told from a random update"),
        (2.0, "Flatter than a random update"),
        (None, "An update of one direction"),
    ],
)
def test_the_null_is_read_by_its_z(z: float | None, reading: str) -> None:
    found = _explain(_row(stable_rank_z=z)).null
    assert found is not None
    assert found.reading.startswith(reading)


def test_a_flagged_module_says_why() -> None:
    found = _explain(_row(), rank_policies=_table(knee=1, erank=12))
    assert found.disagreement is not None
    assert found.disagreement.disagree
    assert (found.disagreement.spread, found.disagreement.spread_threshold) == (11, 6.0)
    assert found.disagreement.why[0].startswith("erank asks for most (12)")
    assert found.disagreement.why[1].startswith("knee asks for least (1)")
    assert found.importance is not None
    assert found.importance.flagged
    assert found.importance.reading == (
        "Flagged: the policies differ by 11, and it holds 90.0% of the adapter's update energy, "
        "1.80 x uniform."
    )


def test_an_unimportant_module_says_why_it_is_not_flagged() -> None:
    table = _table(knee=1, erank=12)
    rows = _row(), _row("layers.1.attn.q")
    found = explain_layer(_audit(*rows, rank_policies=table), "1.attn.q").importance
    assert found is not None
    assert found.reading.startswith("Not flagged: the policies differ by 0 only")
    derived = explain_layer(_audit(_row(delta_fro_norm=9.0), _row("layers.1.attn.q")), "1.attn.q")
    assert derived.importance is not None
    assert not derived.importance.flagged
    assert "0.20 x a uniform share, below 1.5" in derived.importance.reading


def test_without_policies_the_rows_quantities_give_some() -> None:
    found = _explain(_row())
    assert [(p.policy, p.k) for p in found.policies] == [
        ("energy@0.90", 7),
        ("stable_rank", 3),
        ("erank", 12),
    ]
    assert found.policies_source == "the row's quantities"
    assert found.missing == (NO_POLICIES,)


def test_the_suggestion_is_the_audits_or_the_snapped_energy_rank() -> None:
    told = {"layers": [{"name": "layers.0.attn.q", "suggested_r": 4}]}
    given, derived = _explain(_row(), rank_suggestions=told).suggestion, _explain(_row()).suggestion
    assert given is not None
    assert derived is not None
    assert (given.rank, given.current, given.source) == (4, 16, "the audit's suggestion")
    assert (derived.rank, derived.current) == (8, 16)
    assert "energy@0.90" in derived.source


def test_the_experiment_would_refute_the_suggestion() -> None:
    text = _explain(_row()).experiment
    assert text.startswith("Truncate layers.0.attn.q alone to rank 8,")
    assert "a loss beyond the spread over seeds refutes the suggestion" in text
    assert "rank_pattern={'layers.0.attn.q': 8}" in text


def test_where_nothing_is_saved_the_experiment_tries_the_least() -> None:
    text = _explain(_row(energy_rank_90=15)).experiment
    assert text.startswith("Rank 16 saves nothing here. Truncate layers.0.attn.q alone to rank 3")


def test_without_a_row_the_experiment_tells_the_policies_apart() -> None:
    found = explain_layer({"rank_policies": _table(knee=1, erank=12)}, "0.attn.q")
    assert (found.r, found.spectrum, found.null, found.suggestion) == (None, None, None, None)
    assert "to rank 1 and to rank 12" in found.experiment
    assert found.missing == (NO_ROW,)


@pytest.mark.parametrize("status", ["untrained", "nonfinite"])
def test_a_module_without_a_spectrum_has_nothing_to_refute(status: str) -> None:
    found = _explain({"name": "layers.0.attn.q", "status": status, "r": 16, "params": 8})
    assert (found.status, found.spectrum, found.policies, found.suggestion) == (
        status,
        None,
        (),
        None,
    )
    assert found.experiment.startswith("Nothing is suggested")
    assert found.missing == ()


def test_an_older_audit_lacks_the_null() -> None:
    old = {
        key: value for key, value in _row().items() if key not in NullComparison.__struct_fields__
    }
    found = _explain(old)
    assert found.null is None
    assert NO_NULL in found.missing


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"layer 'attn.k'.* Near it: layers\.0\.attn\.q"):
        explain_layer(_audit(_row()), "attn.k")


def test_an_explanation_is_plain_json() -> None:
    found = _explain(_row(), rank_policies=_table(knee=1, erank=12))
    assert msgspec.json.decode(msgspec.json.encode(found), type=LayerExplanation) == found


@needs_shared_data
@pytest.mark.parametrize(
    ("file", "layer", "k"),
    [
        ("probe_r16__audit.json", "layer.0.attention.k_lin", [11, 3, 15]),
        ("cert_seed42_probe_r32__audit.json", "layer.0.attention.k_lin", [20, 4, 28]),
        ("sample_audit_for_explain.json", "h.0.self_attn.q_proj", [8, 2, 6]),
        ("fallback_scenario_audit.json", "layer.0.attn", [6, 3, 5]),
    ],
)
def test_the_originals_files_are_explained(file: str, layer: str, k: list[int]) -> None:
    text = (SHARED / "gradience" / "audit_json" / file).read_text(encoding="utf-8")
    found = explain_layer(json.loads(text), layer)
    assert [policy.k for policy in found.policies] == k
    assert found.disagreement is not None
    assert len(found.disagreement.why) == 2
    assert "held-out data" in found.experiment
