"""What the numbers give away: dead modules, noise, updates larger than their base weight."""

import msgspec
import pytest

from gradience.core.audit.findings import MAX_LISTED
from gradience.core.audit.module import row_of
from gradience.core.audit.quantity_findings import (
    FindingPolicy,
    base_findings,
    cache_finding,
    common_path,
    group_findings,
    noise_findings,
    quantised_findings,
    size_findings,
    training_findings,
)
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.severity import Severity
from tests.adapter_files import tensor_pair


def _rows(
    untrained: list[str], trained: list[str], pruned: list[str] | None = None
) -> list[LayerRow]:
    status = {
        **dict.fromkeys(untrained, ModuleStatus.UNTRAINED),
        **dict.fromkeys(trained, ModuleStatus.OK),
        **dict.fromkeys(pruned or [], ModuleStatus.PRUNED),
    }
    return [row_of(tensor_pair(name), kind) for name, kind in status.items()]


def test_an_adapter_of_zeros_is_untrained() -> None:
    (found,) = training_findings(_rows(["a.q", "b.q"], []))
    assert (found.code, found.severity) == ("untrained", Severity.WARNING)
    assert found.modules == ("a.q", "b.q")


def test_some_zeros_are_dead_modules_named_by_their_path() -> None:
    dead = ["model.encoder.layers.0.q", "model.encoder.layers.1.q"]
    (found,) = training_findings(_rows(dead, ["model.decoder.layers.0.q"]))
    assert found.code == "dead_modules"
    assert "2 of 3" in found.message
    assert "everything under model.encoder.layers" in found.message


def test_a_trained_adapter_has_no_training_finding() -> None:
    assert list(training_findings(_rows([], ["a.q"]))) == []


def test_nothing_audited_is_no_untrained_adapter() -> None:
    assert list(training_findings([])) == []


@pytest.mark.parametrize(
    ("chosen", "everything", "expected"),
    [
        (["e.0.q", "e.1.q"], ["e.0.q", "e.1.q", "d.0.q"], "everything under e"),
        (["e.0.q"], ["e.0.q", "e.0.qq"], "everything under e.0.q"),
        (["e.0.q", "e.1.q"], ["e.0.q", "e.1.q", "e.2.q"], "e.0.q, e.1.q"),
        (["a", "b"], ["a", "b", "c"], "a, b"),
    ],
)
def test_a_group_is_named_by_a_path_of_its_own(
    chosen: list[str], everything: list[str], expected: str
) -> None:
    assert common_path(chosen, everything) == expected


def test_long_lists_are_cut_in_the_message_alone() -> None:
    names = {f"layers.{i}.q": "no weight" for i in range(MAX_LISTED + 3)}
    (found,) = base_findings(names)
    assert "and 3 more" in found.message
    assert len(found.modules) == MAX_LISTED + 3


def test_missing_base_norms_are_grouped_by_reason() -> None:
    found = list(base_findings({"a": "x", "b": "y", "c": "x"}))
    assert [finding.modules for finding in found] == [("a", "c"), ("b",)]
    assert {finding.code for finding in found} == {"no_base_norm"}


def test_pruned_modules_are_told_apart_from_dead_ones() -> None:
    found = list(training_findings(_rows(["a.q"], ["b.q"], ["c.q", "c.v"])))
    assert [finding.code for finding in found] == ["pruned_modules", "dead_modules"]
    assert found[0].severity is Severity.INFO
    assert found[0].message == "AdaLoRA pruned 2 of 4 modules to rank 0: everything under c"


def test_a_pruned_rest_does_not_make_an_untrained_adapter_trained() -> None:
    found = list(training_findings(_rows(["a.q"], [], ["b.q"])))
    assert [finding.code for finding in found] == ["pruned_modules", "untrained"]


def test_a_scale_of_zero_is_no_dead_module() -> None:
    (row,) = _rows(["a.q"], [])
    assert list(training_findings([msgspec.structs.replace(row, scale=0.0)])) == []


@pytest.mark.parametrize("udr", [None, 0.5, 1.0])
def test_updates_below_their_base_are_no_finding(udr: float | None) -> None:
    rows = [msgspec.structs.replace(row, udr=udr) for row in _rows([], ["a.q"])]
    assert list(size_findings(rows, FindingPolicy())) == []


def test_updates_larger_than_their_base_are_told_with_the_worst() -> None:
    ratios = {"a.q": 1.5, "b.q": 0.2, "c.q": 12.0}
    rows = [msgspec.structs.replace(row, udr=ratios[row.name]) for row in _rows([], [*ratios])]
    (found,) = size_findings(rows, FindingPolicy())
    assert (found.code, found.severity) == ("update_dwarfs_base", Severity.WARNING)
    assert found.message.startswith("2 of 3 updates are larger than their base weight")
    assert "c.q (UDR 12)" in found.message
    assert found.modules == ("a.q", "c.q")
    assert list(size_findings(rows, FindingPolicy(dwarfing_udr=20.0))) == []


def test_noise_is_told_where_both_ranks_are_the_nulls() -> None:
    scores = {"a": (0.1, -2.9), "b": (0.1, 3.1), "c": (None, None), "d": (-9.0, 0.0)}
    rows = [
        msgspec.structs.replace(
            row, stable_rank_z=scores[row.name][0], effective_rank_z=scores[row.name][1]
        )
        for row in _rows([], [*scores])
    ]
    (found,) = noise_findings(rows, FindingPolicy())
    assert (found.code, found.severity, found.modules) == ("like_noise", Severity.INFO, ("a",))
    assert found.message.startswith("1 of 4 updates look like noise")
    assert list(noise_findings(rows, FindingPolicy(noise_z=0.05))) == []


def test_a_quantised_base_is_told_with_its_schemes() -> None:
    (found,) = quantised_findings({"NF4", "FP4"})
    assert (found.code, found.severity) == ("quantised_base", Severity.INFO)
    assert "quantised (FP4, NF4)" in found.message
    assert list(quantised_findings([])) == []


def test_a_problem_of_the_norm_cache_is_a_warning() -> None:
    found = cache_finding("cache_damaged", "norms.json: damaged")
    assert (found.code, found.message) == ("cache_damaged", "norms.json: damaged")
    assert found.severity is Severity.WARNING
    assert "--base-norms-cache" in found.remedy


def _one(
    code: str, *modules: str, severity: Severity = Severity.ERROR, remedy: str = "r"
) -> Finding:
    message = f"{modules[0] if modules else code}: bad"
    return Finding(severity=severity, code=code, message=message, remedy=remedy, modules=modules)


def test_equal_findings_of_single_modules_become_one() -> None:
    (found,) = group_findings([_one("x", "a"), _one("x", "b"), _one("x", "c")])
    assert found.message == "3 modules, the first a: bad"
    assert found.modules == ("a", "b", "c")
    assert (found.code, found.remedy, found.severity) == ("x", "r", Severity.ERROR)


@pytest.mark.parametrize(
    "pair",
    [
        [_one("x", "a"), _one("y", "b")],
        [_one("x", "a"), _one("x", "b", severity=Severity.WARNING)],
        [_one("x", "a"), _one("x", "b", remedy="other")],
        [_one("x", "a"), _one("x", "b", "c")],
        [_one("x"), _one("x")],
    ],
)
def test_findings_that_differ_stay_apart(pair: list[Finding]) -> None:
    assert sorted(group_findings(pair), key=repr) == sorted(pair, key=repr)


def test_findings_stand_worst_first_and_keep_their_order_otherwise() -> None:
    given = [_one("i", severity=Severity.INFO), _one("e1"), _one("e2")]
    assert [finding.code for finding in group_findings(given)] == ["e1", "e2", "i"]
