"""Bounds of a vector's largest cosine with a matrix's left singular vectors."""

from typing import NamedTuple

import numpy as np
import pytest

from gradience.core.dominance.bidiagonalisation import Floats, matrix_map
from gradience.core.dominance.spectral_measure import AtomBounds, MeasurePolicy, atom_bounds


class Known(NamedTuple):
    """A matrix with chosen singular values and its left vectors as columns."""

    matrix: Floats
    left: Floats


def _known(values: Floats, m: int, n: int) -> Known:
    generator = np.random.default_rng(1)
    left, _ = np.linalg.qr(generator.standard_normal((m, values.size)))
    right, _ = np.linalg.qr(generator.standard_normal((n, values.size)))
    return Known((left * values) @ right.T, left)


def _all_bounds(known: Known, vector: Floats, **limits: int) -> list[AtomBounds]:
    typical = float(np.linalg.norm(known.matrix)) / np.sqrt(min(known.matrix.shape))
    unit = vector / np.linalg.norm(vector)
    policy = MeasurePolicy(**limits)
    return list(atom_bounds(matrix_map(known.matrix), unit, typical, policy))


SPREAD = np.linspace(0.5, 3.0, 200)


def test_a_singular_vector_is_found_at_once() -> None:
    known = _known(SPREAD, 250, 200)
    bounds = _all_bounds(known, known.left[:, 100])
    assert bounds[-1] == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(("m", "n"), [(250, 200), (200, 250)])
def test_a_spread_out_vector_is_soon_far_from_all(m: int, n: int) -> None:
    vector = np.random.default_rng(2).standard_normal(m)
    found = _all_bounds(_known(SPREAD, m, n), vector, max_steps=40)
    assert found[-1].upper < 0.4


def test_bounds_hold_the_truth_and_only_close_in() -> None:
    known = _known(SPREAD, 250, 200)
    vector = 0.6 * known.left[:, 199] + 0.8 * known.left[:, :150].mean(axis=1) * np.sqrt(150)
    truth = float(np.abs(known.left.T @ vector).max() / np.linalg.norm(vector))
    found = _all_bounds(known, vector)
    assert all(bounds.lower - 1e-9 <= truth <= bounds.upper + 1e-6 for bounds in found)
    assert [b.upper for b in found] == sorted((b.upper for b in found), reverse=True)
    assert [b.lower for b in found] == sorted(b.lower for b in found)
    assert found[-1].upper - found[-1].lower < 0.05


def test_an_exhausted_space_gives_the_cosine_itself() -> None:
    known = _known(np.arange(1.0, 7.0), 6, 6)
    vector = known.left @ np.array([0.1, 0.2, 0.7, 0.3, 0.4, 0.1])
    truth = 0.7 / np.linalg.norm(vector)
    assert _all_bounds(known, vector)[-1] == pytest.approx((truth, truth))


def test_a_vector_of_the_null_space_is_none_of_the_singular_vectors() -> None:
    known = _known(SPREAD, 250, 200)
    outside = np.random.default_rng(3).standard_normal(250)
    outside -= known.left @ (known.left.T @ outside)
    assert _all_bounds(known, outside)[-1].upper < 1e-6


def test_a_vector_half_in_the_null_space_is_judged_by_the_other_half() -> None:
    known = _known(SPREAD, 250, 200)
    outside = np.random.default_rng(3).standard_normal(250)
    outside -= known.left @ (known.left.T @ outside)
    vector = 2 * outside / np.linalg.norm(outside) + known.left[:, 150]
    found = _all_bounds(known, vector)[-1]
    assert found == pytest.approx((1 / np.sqrt(5), 1 / np.sqrt(5)), abs=1e-3)


def test_an_empty_matrix_has_no_bounds() -> None:
    assert not list(atom_bounds(matrix_map(np.zeros((3, 0))), np.ones(3), 1.0))


def test_the_vector_is_left_alone() -> None:
    vector = np.ones(6)
    list(atom_bounds(matrix_map(np.diag(np.arange(1.0, 7.0))), vector, 6.0))
    assert (vector == 1).all()
