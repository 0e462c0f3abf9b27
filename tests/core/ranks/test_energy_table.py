"""The table of energies: normalised over all modules, sorted within each."""

import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.energy_table import ModuleSpectrum, energy_table, named_ranks


def _module(name: str, *values: float, cost: int = 10, r: int | None = None) -> ModuleSpectrum:
    spectrum = np.array(values, dtype=np.float64)
    return ModuleSpectrum(name=name, singular_values=spectrum, cost=cost, r=r or len(values))


def test_energies_are_shares_of_all_descending_in_a_row() -> None:
    table = energy_table([_module("a", 1.0, 2.0), _module("b", 2.0, r=4, cost=5)])
    assert np.allclose(table.energies, [[4 / 9, 1 / 9], [4 / 9, 0.0]])
    assert (table.names, table.present_params) == (("a", "b"), 40)


def test_ranks_cost_parameters_and_discard_energy() -> None:
    table = energy_table([_module("a", 2.0, 1.0), _module("b", 2.0, cost=5)])
    ranks = np.array([1, 1])
    assert table.params(ranks) == 15
    assert table.discarded(ranks) == pytest.approx(1 / 9)
    assert table.discarded(np.array([9, 9])) == 0.0
    assert named_ranks(table, ranks) == {"a": 1, "b": 1}


def test_modules_without_an_update_are_left_out() -> None:
    table = energy_table([_module("a", 0.0, 0.0), _module("b", r=4), _module("c", 3.0)])
    assert table.names == ("c",)
    empty = energy_table([])
    assert (empty.names, empty.present_params, empty.discarded(np.zeros(0, dtype=np.int64))) == (
        (),
        0,
        0.0,
    )


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200])
def test_tiny_and_huge_updates_keep_their_shares(scale: float) -> None:
    table = energy_table([_module("a", 2 * scale, scale)])
    assert np.allclose(table.energies, [[0.8, 0.2]])


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (_module("bad", float("nan")), "bad: expected finite singular values"),
        (_module("bad", float("inf")), "bad: expected finite singular values"),
        (_module("bad", -1.0), "of at least 0"),
        (_module("bad", 1.0, cost=0), "a cost and a rank of at least 1, found 0 and 1"),
        (_module("bad", r=-1), "found 10 and -1"),
        (_module("bad", 1.0, 1.0, r=1), "its rank 1, found 2"),
    ],
)
def test_modules_that_make_no_sense_are_refused(module: ModuleSpectrum, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        energy_table([module])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="module a: expected each name once"):
        energy_table([_module("b", 1.0), _module("a", 1.0), _module("a", 2.0)])
