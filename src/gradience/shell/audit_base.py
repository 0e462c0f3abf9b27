"""What an audit asks of the base model: norms of each adapted weight, and new directions."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.factors import UpdateFactors
from gradience.core.adapter.tensors import AdapterContents, LoraPair
from gradience.core.audit.module import ModuleAudit
from gradience.core.audit.pair_problems import is_pruned, pair_problem
from gradience.core.audit.quantity_findings import (
    base_findings,
    cache_finding,
    quantised_findings,
)
from gradience.core.audit.report import Finding, ModuleStatus
from gradience.core.dominance.intruder_result import IntruderResult
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.errors import GradienceError

if TYPE_CHECKING:
    from gradience.shell.base_model import BaseModel

Key = tuple[str, int | None]
"""A module, and the expert's number where it has several updates."""


@attrs.frozen(kw_only=True)
class BaseRequest:
    """Which base model, and what to ask of it."""

    model: str
    """A folder, or an id in the local Hub cache."""
    norms_cache: Path | None = None
    intruders: bool = False


@attrs.frozen(kw_only=True)
class BaseComparison:
    """What was found of the base weights."""

    norms: Mapping[Key, BaseNorms] = {}
    intruders: Mapping[Key, IntruderResult] = {}
    findings: tuple[Finding, ...] = ()

    def mark(self, audit: ModuleAudit, key: Key) -> ModuleAudit:
        """A module's audit with its intruder dimensions, where they were looked for."""
        found = self.intruders.get(key)
        if found is None or audit.row.status is not ModuleStatus.OK:
            return audit
        row = msgspec.structs.replace(audit.row, intruders=found)
        return audit._replace(row=row)


def compare_with_base(
    request: BaseRequest | None,
    contents: AdapterContents,
    factors: Callable[[LoraPair], Iterator[UpdateFactors]],
    told: Callable[[int], None],
) -> BaseComparison:
    """Reads the base weight of every pair, one at a time.

    Args:
        request: The base model; None for no comparison.
        contents: The adapter.
        factors: Gives a pair's updates, for intruder dimensions.
        told: Told after each pair how many are done.

    Returns:
        Norms by module and expert; findings for what has none and for the cache.

    Raises:
        BaseModelError: The checkpoint cannot be read.
    """
    if request is None:
        return BaseComparison()
    from gradience.shell.base_model import BaseModel

    replication = contents.config.layer_replication if contents.config else ()
    base = BaseModel(request.model, request.norms_cache, layer_replication=replication)
    norms: dict[Key, BaseNorms] = {}
    intruders: dict[Key, IntruderResult] = {}
    without: dict[str, str] = {}
    for done, pair in enumerate(contents.pairs, 1):
        for expert in _experts(pair):
            found = _norms(base, pair, expert)
            if isinstance(found, BaseNorms):
                norms[pair.module, expert] = found
            else:
                without[pair.module] = found
        if request.intruders and _has_update(pair) and pair.module not in without:
            transposed = base.facts.transposed(expert=pair.experts is not None) or (
                contents.config is not None and contents.config.fan_in_fan_out
            )
            intruders.update(_intruders(base, pair, factors, transposed=transposed))
        told(done)
    findings = (*base_findings(without), *quantised_findings(base.schemes), *_cache(base))
    return BaseComparison(norms=norms, intruders=intruders, findings=findings)


def _experts(pair: LoraPair) -> Iterator[int | None]:
    """The experts to look up; none for a pair without an update."""
    if _has_update(pair):
        yield from (None,) if pair.experts is None else range(pair.experts)


def _has_update(pair: LoraPair) -> bool:
    return not is_pruned(pair) and pair_problem(pair) is None


def _module(pair: LoraPair) -> str:
    """The module itself, where the pair is of one of its parameters."""
    return pair.module.removesuffix(f".{pair.parameter}")


def _norms(base: "BaseModel", pair: LoraPair, expert: int | None) -> BaseNorms | str:
    return base.norms(_module(pair), pair.update_shape, parameter=pair.parameter, expert=expert)


def _intruders(
    base: "BaseModel",
    pair: LoraPair,
    factors: Callable[[LoraPair], Iterator[UpdateFactors]],
    *,
    transposed: bool,
) -> Iterator[tuple[Key, IntruderResult]]:
    from gradience.core.checkpoint.assembly import oriented
    from gradience.core.dominance.intruders import intruder_dimensions
    from gradience.shell.base_model import start_vector

    for update in factors(pair):
        shape = pair.update_shape
        stored = base.weight(_module(pair), shape, parameter=pair.parameter, expert=update.expert)
        if isinstance(stored, str):
            continue
        weight = oriented(stored, shape, transposed=transposed)
        start = start_vector(pair.module, shape[1])
        a, b = _single(update.a), _single(update.b)
        found = intruder_dimensions(weight, a, b, pair.scaling.scale, start)
        yield (pair.module, update.expert), found


def _single(factor: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(factor, dtype=np.float32)


def _cache(base: "BaseModel") -> Iterator[Finding]:
    """What went wrong with the norm cache; it costs time, not the report."""
    if base.cache_problem is not None:
        yield cache_finding("norm_cache_damaged", base.cache_problem)
    try:
        base.save_cache()
    except GradienceError as error:
        yield cache_finding("norms_not_kept", str(error))
