"""The factors that training began with, for initialisations that move base weight."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from gradience.core.adapter.factors import UpdateFactors, update_factors
from gradience.core.adapter.layouts import AdapterFile, read_adapter
from gradience.core.adapter.peft_config import ADAPTER_CONFIG
from gradience.core.adapter.tensors import AdapterContents, LoraPair
from gradience.core.audit.findings import initial_finding
from gradience.core.audit.report import Finding
from gradience.core.errors import AdapterError
from gradience.shell.adapters.folder import AdapterPlace, find_adapter, read_config
from gradience.shell.adapters.weights import AdapterWeights, open_weights

SUFFIX = "_init"
"""Of the folder beside the adapter where LLaMA-Factory and PEFT's examples keep the initial
factors, as in ``pissa_init``."""

_METHOD = re.compile(r"[a-z_]{1,40}?(?=_niter|$)")
"""A method's name in ``init_lora_weights``, before what ``pissa_niter_16`` adds to it."""


@attrs.frozen
class InitialFactors:
    """The initial factors by module."""

    pairs: Mapping[str, LoraPair]
    weights: AdapterWeights
    findings: tuple[Finding, ...]

    def updates(self, pair: LoraPair) -> Iterator[UpdateFactors]:
        """The initial factors of a trained pair's updates."""
        initial = self.pairs[pair.module]
        load = self.weights.load
        return update_factors(initial, load(initial.a.name), load(initial.b.name))


def find_initial(
    method: str | None, contents: AdapterContents, place: AdapterPlace | None, given: Path | None
) -> InitialFactors | None:
    """The initial adapter that was named, or the one kept beside the trained one.

    Args:
        method: The value of ``init_lora_weights`` that moved base weight; None where none did.
        contents: The trained adapter.
        place: Its files; None for one in memory.
        given: The initial adapter's folder or file.

    Returns:
        The factors, or None where there are none.

    Raises:
        AdapterError: They are of other modules or shapes than the trained ones.
    """
    given = given or _beside(method, place)
    if given is None:
        return None
    files = find_adapter(given, place.config if place and given.is_file() else None)
    weights = open_weights(files.weights)
    initial = read_adapter(
        AdapterFile(
            tensors=weights.tensors,
            scalars=weights.scalars(),
            metadata=weights.metadata,
            config=read_config(files.config),
            config_place=str(files.config or files.folder / ADAPTER_CONFIG),
            place=str(files.weights),
        )
    )
    pairs = {pair.module: pair for pair in initial.pairs}
    for pair in contents.pairs:
        found = pairs.get(pair.module)
        shapes = (found.a.shape, found.b.shape) if found else None
        if shapes != (pair.a.shape, pair.b.shape):
            raise AdapterError(
                f"{files.weights}: expected the initial factors of {pair.module}, "
                f"{pair.a.shape} and {pair.b.shape}, found {shapes or 'none'}. Name the adapter "
                "that this training began with."
            )
    finding = initial_finding(method, str(given), len(contents.pairs))
    return InitialFactors(pairs, weights, (finding,))


def _beside(method: str | None, place: AdapterPlace | None) -> Path | None:
    """The folder beside the trained adapter; a name that is no method's is never a path."""
    name = _METHOD.match((method or "").lower())
    if place is None or name is None:
        return None
    folder = place.folder / f"{name[0]}{SUFFIX}"
    return folder if folder.is_dir() else None
