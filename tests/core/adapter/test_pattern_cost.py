"""The bound of an expression's ways to match: exact in simple cases, infinite where it must be."""

import math

import pytest

from gradience.core.adapter.pattern_cost import most_paths


@pytest.mark.parametrize(
    ("expression", "ways"),
    [
        ("q_proj", 1),
        (r"a\.b\(c\)\+", 1),
        ("[^]+*]x", 1),
        ("a|b|c", 3),
        ("(a|b)(?:c|d)", 4),
        ("x(a|b)?", 3),
        ("a*", 11),
        ("a+?", 11),
        ("(?:ab)*", 11),
        (".*.*", math.comb(12, 2)),
        ("a*b|c*", 11 * 2),
        ("x{2,5}", 11),
    ],
)
def test_bounds_of_simple_expressions(expression: str, ways: float) -> None:
    assert most_paths(expression, 10) == pytest.approx(ways)


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+",
        "(.*)*",
        "(a|b)*",
        "((a|b)c){3}",
        "(?P<n>a?)+",
        "(?:(?:a+)b)+",
        "(?x: (a+) +)",
        "(a+)(?#c)+",
        "(a)?(?(1)b|c)",
    ],
)
def test_repeats_within_repeats_have_no_bound(expression: str) -> None:
    assert most_paths(expression, 10) == math.inf


def test_many_repeats_are_bounded_by_a_large_number() -> None:
    assert 1e20 < most_paths(".*" * 30, 60) < math.inf
    assert most_paths("a?" * 4000, 60) > 1e200
