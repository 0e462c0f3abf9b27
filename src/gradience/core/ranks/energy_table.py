"""The energy of every direction of every module, with what the direction costs."""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@attrs.frozen(kw_only=True, eq=False)
class ModuleSpectrum:
    """What a rank over all modules needs to know of one."""

    name: str
    singular_values: Floats
    """Of ΔW, scaled: float64 of shape (n,), non-negative; empty or zero without an update."""
    cost: int
    """Parameters of one direction, d_in + d_out."""
    r: int
    """Present rank, at least n."""


@attrs.frozen(kw_only=True, eq=False)
class EnergyTable:
    """The modules that have an update, one row each, in the order given."""

    names: tuple[str, ...]
    energies: Floats
    """σ²/Σσ² over all modules, shape (n_modules, widest), descending in a row, 0 beyond its end."""
    costs: Ints
    ranks: Ints
    """Present ranks."""

    @property
    def present_params(self) -> int:
        """Parameters of these modules' factors as they are."""
        return self.params(self.ranks)

    def params(self, ranks: Ints) -> int:
        """Parameters of the factors at these ranks."""
        return int(np.sum(self.costs * ranks))

    def discarded(self, ranks: Ints) -> float:
        """Share of Σσ² beyond these ranks, summed without cancellation; 0 for no modules."""
        beyond = np.arange(self.energies.shape[1]) >= ranks[:, None]
        return float(np.sum(self.energies[beyond]))


def energy_table(modules: Sequence[ModuleSpectrum]) -> EnergyTable:
    """Puts the modules' energies beside each other.

    Args:
        modules: The modules; those without an update are left out.

    Returns:
        The table, with no rows where nothing has an update. A direction whose energy is below the
        floats' range, relative to the largest, counts as zero.

    Raises:
        ConfigError: A value is negative or not finite, a cost or rank below 1, there are more
            values than the rank, or a name occurs twice.
    """
    for module in modules:
        _check(module)
    trained = [module for module in modules if module.singular_values.any()]
    names = tuple(module.name for module in trained)
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ConfigError(f"module {twice}: expected each name once, found it again")
    values = _padded([module.singular_values for module in trained])
    energies = (values / (values.max(initial=0.0) or 1.0)) ** 2
    return EnergyTable(
        names=names,
        energies=energies / (energies.sum() or 1.0),
        costs=np.array([module.cost for module in trained], dtype=np.int64),
        ranks=np.array([module.r for module in trained], dtype=np.int64),
    )


def named_ranks(table: EnergyTable, ranks: Ints) -> Mapping[str, int]:
    """Module → rank."""
    return dict(zip(table.names, ranks.tolist(), strict=True))


def _check(module: ModuleSpectrum) -> None:
    values = module.singular_values
    if not np.isfinite(values).all() or (values < 0).any():
        raise ConfigError(f"module {module.name}: expected finite singular values of at least 0")
    if module.cost < 1 or module.r < 1:
        raise ConfigError(
            f"module {module.name}: expected a cost and a rank of at least 1, found {module.cost} "
            f"and {module.r}"
        )
    if values.size > module.r:
        raise ConfigError(
            f"module {module.name}: expected at most as many singular values as its rank "
            f"{module.r}, found {values.size}"
        )


def _padded(spectra: Sequence[Floats]) -> Floats:
    """One spectrum a row, descending, zeros behind it."""
    sizes = np.array([values.size for values in spectra], dtype=np.int64)
    table = np.zeros((len(spectra), int(sizes.max(initial=0))))
    if spectra:
        table[np.arange(table.shape[1]) < sizes[:, None]] = np.concatenate(spectra)
    return np.sort(table, axis=1)[:, ::-1]
