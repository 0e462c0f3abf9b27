"""Pieces that the views share."""

import io

import pytest
from rich.console import Console

from gradience.cli.views.parts import common_stem, indented, number, percent, plain_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (3, "3"),
        (0.12345, "0.123"),
        (1.0, "1"),
        (5e-05, "5e-05"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_has_three_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_fraction_is_per_cent() -> None:
    assert (percent(0.186), percent(None)) == ("19 %", "-")


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (["a.b.c", "a.b.d"], "a.b."),
        (["a.b", "a.b.c"], "a."),
        (["a.b.c"], ""),
        (["a.bc", "a.bd"], "a."),
        (["x", "y"], ""),
        ([], ""),
    ],
)
def test_the_stem_ends_at_a_dot_and_leaves_every_name_a_rest(names: list[str], stem: str) -> None:
    assert common_stem(names) == stem
    assert all(name.removeprefix(stem) for name in names)


@pytest.mark.parametrize("width", [10, 30, 200])
def test_no_digit_of_a_table_is_cut(width: int) -> None:
    out = io.StringIO()
    table = plain_table("a name that is long", "first number", "second")
    table.add_row("model.layers.0.self_attn", "1,234,567", "0.000123")
    indented(Console(file=out, width=width), table)
    assert "1,234,567" in out.getvalue()
    assert "0.000123" in out.getvalue()
