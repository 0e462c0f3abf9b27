"""A base model's weights, one at a time, and their norms; the model is never built."""

import hashlib
import zlib
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.checkpoint.assembly import assemble
from gradience.core.checkpoint.facts import CheckpointFacts
from gradience.core.checkpoint.recipe import WeightRecipe, WeightTarget, find_recipe
from gradience.core.checkpoint.replicated_layers import LayerRanges
from gradience.core.checkpoint.stored_weights import StoredWeight, checkpoint_weights
from gradience.core.dominance.base_norms import weight_norms
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.quantisation.dequantise import dequantise
from gradience.shell.checkpoint import Checkpoint
from gradience.shell.norm_cache import NormCacheFile

START_SEED = 20240229
"""Seed of the random start vectors, so that an audit gives the same numbers every time."""


class BaseModel:
    """The weights of a local checkpoint in safetensors shards.

    Besides the mapped files, one weight in float32 is held at a time, and only while it is used.

    Args:
        source: A folder, or the id of a model in the local Hugging Face cache (nothing is
            downloaded).
        cache: A file that keeps norms between audits; keys hold the shards' identities, so
            another checkpoint's norms are never taken.
        layer_replication: That of the adapter's configuration: first layer and end per range.

    Raises:
        BaseModelError: There is no such checkpoint, or it has no safetensors or damaged ones.
        MissingDependencyError: The Hugging Face cache cannot be asked.
    """

    def __init__(
        self, source: str, cache: Path | None = None, *, layer_replication: LayerRanges = ()
    ) -> None:
        self._checkpoint = Checkpoint(source)
        self._weights = checkpoint_weights(self._checkpoint.tensors, self._checkpoint.facts)
        self._replication = tuple(layer_replication)
        self._cache = NormCacheFile(cache)
        self._schemes: set[str] = set()

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return self._checkpoint.folder

    @property
    def facts(self) -> CheckpointFacts:
        """What the checkpoint's config.json says."""
        return self._checkpoint.facts

    @property
    def schemes(self) -> frozenset[str]:
        """The quantisations of the weights that were asked for so far, as shown to people."""
        return frozenset(self._schemes)

    @property
    def cache_problem(self) -> str | None:
        """What of the norm cache could not be used."""
        return self._cache.problem

    def norms(
        self,
        module: str,
        shape: tuple[int, int],
        *,
        parameter: str | None = None,
        expert: int | None = None,
    ) -> BaseNorms | str:
        """Norms of the weight that an update is added to, or why there are none.

        Args:
            module: The module's name in the adapted model.
            shape: (d_out, d_in) of the update; the weight may be stored transposed.
            parameter: The module's parameter where it is not ``weight``.
            expert: The expert, where the parameter is a stack of them.

        Raises:
            BaseModelError: A tensor cannot be read.
        """
        recipe = self._recipe(module, shape, parameter, expert)
        if isinstance(recipe, str):
            return recipe
        key = self._key(recipe)
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        weight = assemble(recipe, shape, self._load)
        if isinstance(weight, str):
            return weight
        name = str(recipe)
        norms = weight_norms(weight, start_vector(name, weight.shape[1]), name)
        if isinstance(norms, BaseNorms):
            self._cache.put(key, norms)
        return norms

    def weight(
        self,
        module: str,
        shape: tuple[int, int],
        *,
        parameter: str | None = None,
        expert: int | None = None,
    ) -> NDArray[np.float32] | str:
        """The weight itself, (d_out, d_in) or as stored (d_in, d_out); arguments as for norms."""
        recipe = self._recipe(module, shape, parameter, expert)
        return recipe if isinstance(recipe, str) else assemble(recipe, shape, self._load)

    def save_cache(self) -> None:
        """Writes the norm cache, where one was asked for and something is new.

        Raises:
            GradienceError: It cannot be written.
        """
        self._cache.save()

    def _recipe(
        self, module: str, shape: tuple[int, int], parameter: str | None, expert: int | None
    ) -> WeightRecipe | str:
        target = WeightTarget(module=module, shape=shape, parameter=parameter, expert=expert)
        recipe = find_recipe(target, self._weights, self._replication)
        if isinstance(recipe, WeightRecipe):
            weights = (part.weight.quantised for part in recipe.parts)
            self._schemes |= {weight.scheme for weight in weights if weight is not None}
        return recipe

    def _load(self, weight: StoredWeight) -> NDArray[np.float32] | str:
        if weight.quantised is None:
            return self._checkpoint.array(weight.tensor.name)
        parts = {
            role: self._checkpoint.array(name) for role, name in weight.quantised.parts.items()
        }
        return dequantise(weight.quantised, parts)

    def _key(self, recipe: WeightRecipe) -> str:
        names = [name for part in recipe.parts for name in part.weight.tensors]
        quantised = any(part.weight.quantised is not None for part in recipe.parts)
        text = msgspec.json.encode(
            [
                [f"{self._checkpoint.identity(name)}:{name}" for name in names],
                self._checkpoint.facts.quantization if quantised else {},
                recipe.axis,
            ],
            order="deterministic",
        )
        return f"{hashlib.sha256(text).hexdigest()[:32]}:{recipe}"


def start_vector(name: str, length: int) -> NDArray[np.float64]:
    """Standard normal entries, the same for the same name in every audit."""
    generator = np.random.default_rng([START_SEED, zlib.crc32(name.encode())])
    return generator.standard_normal(size=(length,))
