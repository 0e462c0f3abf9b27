"""Rows of stacked projections."""

import pytest

from gradience.core.checkpoint.fused_projections import (
    FUSIONS,
    Rows,
    fused_leaves,
    part_leaves,
    part_rows,
)

QKV = FUSIONS[0]
GATE_UP = next(fusion for fusion in FUSIONS if fusion.parts == ("gate_proj", "up_proj"))


@pytest.mark.parametrize(
    ("leaf", "size", "rows"),
    [("q_proj", 32, (0, 32)), ("k_proj", 8, (32, 40)), ("v_proj", 8, (40, 48))],
)
def test_grouped_query_attention_is_cut_by_the_updates_size(
    leaf: str, size: int, rows: tuple[int, int]
) -> None:
    assert part_rows(QKV, leaf, size, 48) == Rows(*rows)


@pytest.mark.parametrize(("leaf", "start"), [("q_proj", 0), ("k_proj", 16), ("v_proj", 32)])
def test_equal_parts_are_thirds(leaf: str, start: int) -> None:
    assert part_rows(QKV, leaf, 16, 48) == Rows(start, start + 16)


@pytest.mark.parametrize(("leaf", "start"), [("gate_proj", 0), ("up_proj", 24)])
def test_gate_and_up_are_halves(leaf: str, start: int) -> None:
    assert part_rows(GATE_UP, leaf, 24, 48) == Rows(start, start + 24)


@pytest.mark.parametrize(
    ("leaf", "size", "total"),
    [
        ("q_proj", 48, 48),
        ("q_proj", 31, 48),
        ("q_proj", 64, 48),
        ("q_proj", 8, 48),
        ("q_proj", 5, 10),
        ("k_proj", 20, 48),
        ("k_proj", 24, 48),
        ("k_proj", 9, 48),
    ],
)
def test_sizes_that_do_not_add_up_have_no_rows(leaf: str, size: int, total: int) -> None:
    assert part_rows(QKV, leaf, size, total) is None


def test_halves_that_do_not_add_up_have_no_rows() -> None:
    assert part_rows(GATE_UP, "up_proj", 23, 48) is None


@pytest.mark.parametrize("name", ["query_key_value", "wqkv"])
def test_interleaved_projections_are_never_cut_or_joined(name: str) -> None:
    assert part_leaves(name) == ()
    assert all(name not in fusion.fused for fusion in FUSIONS)


def test_parts_and_fused_names_lead_to_each_other() -> None:
    assert [name for name, _ in fused_leaves("up_proj")][:1] == ["gate_up_proj"]
    assert part_leaves("gate_up_proj") == (("gate_proj", "up_proj"), ("w1", "w3"))
    assert fused_leaves("o_proj") == ()
