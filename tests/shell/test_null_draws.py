"""The kept baselines: reproducible, cheap to ask again, and what was measured before."""

import numpy as np
import pytest

from gradience.core.spectra.null_baseline import DrawsPolicy
from gradience.shell.null_draws import draw_null, null_for

FIRST_NORMALS = [0.5426701653420958, -0.006725067635698921]
"""Of ``RandomState([2, 3, 4])``, written down once."""


@pytest.mark.parametrize(
    ("shape", "stable", "effective", "k90"),
    [
        ((64, 4096, 4096), 46.7, 63.7, 56),
        ((64, 768, 768), 32.4, 62.6, 52),
        ((16, 4096, 4096), 13.8, 16.0, 15),
    ],
)
def test_the_null_of_usual_shapes(
    shape: tuple[int, int, int], stable: float, effective: float, k90: int
) -> None:
    found = null_for(*shape)
    assert found.stable_rank.mean == pytest.approx(stable, abs=0.2)
    assert found.effective_rank.mean == pytest.approx(effective, abs=0.06)
    assert round(found.energy_rank_90.mean) == k90
    assert found.stable_rank.sem < 0.01 * found.stable_rank.mean


def test_the_same_shape_gives_the_same_draws_and_another_shape_others() -> None:
    one, two, other = draw_null(4, 9, 12), draw_null(4, 9, 12), draw_null(4, 9, 13)
    assert np.array_equal(one.normals_a, two.normals_a)
    assert np.array_equal(one.chis_b, two.chis_b)
    assert not np.array_equal(one.normals_a, other.normals_a)


def test_the_stream_is_the_frozen_one() -> None:
    found = draw_null(2, 3, 4, DrawsPolicy(most=2, least=2)).normals_a
    assert found.ravel().tolist() == pytest.approx(FIRST_NORMALS, rel=1e-12)


def test_the_number_of_draws_is_the_policys() -> None:
    assert len(draw_null(3, 9, 9).chis_a) == DrawsPolicy().draws_for(3)
    assert len(draw_null(3, 9, 9, DrawsPolicy(most=7, least=5)).chis_b) == 7


def test_a_shape_and_its_transpose_share_one_kept_baseline() -> None:
    assert null_for(4, 30, 20) is null_for(4, 20, 30)


def test_shapes_without_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="of at least 1"):
        null_for(4, 0, 20)
