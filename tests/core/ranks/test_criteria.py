"""Each criterion by hand, with the convention that it names."""

import attrs
import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.criteria import (
    CAVEATS,
    Cut,
    frobenius_share,
    hard_threshold,
    knee,
    parallel_analysis,
    top_ratio,
    value_share,
)
from gradience.core.spectra.null_baseline import NullBaseline
from gradience.shell.null_draws import null_for


def _cut(*values: float, threshold: float = float("nan"), null: NullBaseline | None = None) -> Cut:
    return Cut(values=np.array(values, dtype=np.float64), threshold=threshold, null=null)


def test_frobenius_share_of_090_is_081_of_the_energy() -> None:
    values = np.sqrt([0.82, 0.10, 0.08])
    k, details = frobenius_share(_cut(*values, threshold=0.9))
    assert k == 1
    assert details["energy_threshold"] == pytest.approx(0.81)
    assert "t² of Σσ²" in str(details["convention"])
    assert frobenius_share(_cut(*np.sqrt([0.80, 0.12, 0.08]), threshold=0.9))[0] == 2


def test_frobenius_share_neither_over_nor_underflows() -> None:
    for scale in (1e-200, 1e200):
        assert frobenius_share(_cut(2 * scale, scale, threshold=0.9))[0] == 2


def test_value_share_counts_values_not_squares() -> None:
    cut = _cut(6.0, 3.0, 1.0, threshold=0.9)
    assert value_share(cut)[0] == 2
    assert value_share(_cut(6.0, 3.0, 1.0, threshold=0.91))[0] == 3
    assert "Σσ, not of Σσ²" in str(value_share(cut)[1]["convention"])


def test_top_ratio_leaves_the_value_at_the_bound_behind() -> None:
    k, details = top_ratio(_cut(10.0, 6.0, 5.0, 1.0, threshold=2.0))
    assert (k, details["threshold_sigma"]) == (2, 5.0)


def test_parallel_analysis_stops_at_the_first_direction_within_noise() -> None:
    null = attrs.evolve(null_for(4, 40, 30), share_p95=(0.4, 0.3, 0.15, 0.1))
    k, details = parallel_analysis(_cut(*np.sqrt([0.5, 0.25, 0.2, 0.05]), null=null))
    assert k == 1
    assert (details["above_null"], details["null_draws"]) == (1, null.n_draws)
    assert details["caveat"] == CAVEATS["null"]


def test_noise_itself_has_nothing_above_the_null() -> None:
    null = null_for(8, 60, 50)
    generator = np.random.default_rng(3)
    found = []
    for _ in range(100):
        a, b = generator.standard_normal((8, 50)), generator.standard_normal((60, 8))
        values = np.linalg.svd(b @ a, compute_uv=False)[:8]
        found.append(parallel_analysis(Cut(values=values.astype(np.float64), null=null))[0])
    assert sum(k > 0 for k in found) <= 15


@pytest.mark.parametrize("planted", [1, 2, 3])
def test_planted_directions_are_counted(planted: int) -> None:
    generator = np.random.default_rng(planted)
    a, b = generator.standard_normal((8, 50)), generator.standard_normal((60, 8))
    a[:planted] *= 6
    values = np.linalg.svd(b @ a, compute_uv=False)[:8].astype(np.float64)
    assert parallel_analysis(Cut(values=values, null=null_for(8, 60, 50)))[0] == planted


def test_parallel_analysis_says_what_baseline_it_needs() -> None:
    with pytest.raises(ConfigError, match=r"of 3 directions, found none\. Pass null="):
        parallel_analysis(_cut(3.0, 2.0, 1.0))
    with pytest.raises(ConfigError, match="of 3 directions, found one of 4 directions"):
        parallel_analysis(_cut(3.0, 2.0, 1.0, null=null_for(4, 40, 30)))


def test_knee_and_hard_threshold_may_leave_nothing() -> None:
    assert hard_threshold(_cut(1.0, 1.0, 1.0))[0] == 0
    assert knee(_cut(4.0, 3.0, 2.0, 1.0)) == (4, {"knee_distance": 0.0})
