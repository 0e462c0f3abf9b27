"""Where rank policies disagree, and which modules are flagged."""

import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.disagreement import DisagreementPolicy, PolicyTable, policy_table

NAMES = ("energy@0.90", "knee")


def _table(
    ranks: dict[str, tuple[int, int]],
    importance: dict[str, float],
    policy: DisagreementPolicy | None = None,
) -> PolicyTable:
    table = {name: dict(zip(NAMES, ks, strict=True)) for name, ks in ranks.items()}
    return policy_table(table, importance, NAMES, policy)


def test_an_important_module_with_a_wide_spread_is_flagged() -> None:
    found = _table({"a": (8, 1), "b": (8, 8), "c": (2, 2)}, {"a": 8.0, "b": 1.0, "c": 1.0})
    assert found.flagged == ("a",)
    assert found.n_disagree == 1
    module = found.modules[0]
    assert (module.spread, module.spread_threshold) == (7, 4.0)
    assert module.importance_share == pytest.approx(0.8)
    assert module.uniform_mult == pytest.approx(2.4)
    assert module.priority_score == pytest.approx(2.4 * 7 / 4)


def test_an_unimportant_module_tells_why_it_is_not_flagged() -> None:
    found = _table({"a": (8, 1), "b": (8, 8)}, {"a": 1.0, "b": 9.0})
    assert found.flagged == ()
    assert found.modules[0].disagree
    assert len(found.modules[0].reasons) == 2


@pytest.mark.parametrize(("ks", "disagree"), [((4, 2), False), ((4, 1), True), ((16, 9), False)])
def test_a_spread_counts_from_three_and_half_the_largest(
    ks: tuple[int, int], *, disagree: bool
) -> None:
    assert _table({"a": ks}, {"a": 1.0}).modules[0].disagree == disagree


def test_equal_importance_flags_nothing() -> None:
    found = _table({"a": (8, 1), "b": (8, 1)}, {"a": 1.0, "b": 1.0})
    assert (found.n_disagree, found.flagged) == (2, ())


def test_the_gates_can_be_opened() -> None:
    open_gates = DisagreementPolicy(importance_quantile=0.0, uniform_mult_gate=0.0)
    found = _table({"a": (8, 1), "b": (16, 1)}, {"a": 1.0, "b": 1.0}, open_gates)
    assert found.flagged == ("b", "a")


def test_no_modules_and_no_importance_give_no_flags() -> None:
    assert _table({}, {}).modules == ()
    assert _table({"a": (8, 1)}, {"a": 0.0}).modules[0].importance_share == 0.0


def test_a_module_without_any_policy_is_not_in_disagreement() -> None:
    assert policy_table({}, {}, ()).policies == ()


@pytest.mark.parametrize("quantile", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_zero_to_one_is_refused(quantile: float) -> None:
    with pytest.raises(ConfigError, match="quantile"):
        DisagreementPolicy(importance_quantile=quantile)


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="energy_share, params_share"):
        DisagreementPolicy(importance_metric="udr")  # type: ignore[arg-type]  # wrong on purpose
