"""From stored arrays to the float32 matrix that a recipe describes, copying as little as can be."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS
from gradience.core.checkpoint.recipe import WeightPart, WeightRecipe
from gradience.core.checkpoint.stored_weights import StoredWeight, Update, fits
from gradience.core.quantisation.stored import Stored

Matrix = NDArray[np.float32]


def assemble(
    recipe: WeightRecipe, update: Update, load: Callable[[StoredWeight], Stored | str]
) -> Matrix | str:
    """The base weight of an update.

    Args:
        recipe: Its parts.
        update: (d_out, d_in) of the update.
        load: Gives a stored weight's values: an array of its own or a view, never changed here; a
            reason where it has none.

    Returns:
        W, float32, stored either way round; of a single float32 part a view of what was loaded.
        Of several parts one is held at a time besides the result. A reason where a part has no
        values, or where only they told a shape that does not fit.
    """
    if len(recipe.parts) > 1:
        return _joined(recipe, load)
    piece = _piece(recipe.parts[0], recipe.axis, load)
    if isinstance(piece, str):
        return piece
    if not fits(piece.shape, update):
        return f"{recipe} has shape {piece.shape}, the update {update}"
    return to_float32(piece)


def oriented(weight: Matrix, update: Update, *, transposed: bool) -> Matrix:
    """A base weight as (d_out, d_in).

    Args:
        weight: As stored, either way round.
        update: (d_out, d_in) of the update.
        transposed: Whether the model stores such weights as (d_in, d_out); asked only where the
            weight is square, so that its shape does not tell.

    Returns:
        The weight or its transpose, a view.
    """
    square = weight.shape[0] == weight.shape[1]
    as_it_is = not transposed if square else weight.shape == update
    return weight if as_it_is else weight.T


def to_float32(values: Stored) -> Matrix:
    """Numbers of any floating type as float32.

    Args:
        values: Any shape; not mutated.

    Returns:
        The values themselves where they are aligned float32, else a copy; infinite where a float64
        is too large.
    """
    with np.errstate(over="ignore"):
        return np.require(values, dtype=np.float32, requirements="A")


def _joined(recipe: WeightRecipe, load: Callable[[StoredWeight], Stored | str]) -> Matrix | str:
    shapes = [part.weight.shape or () for part in recipe.parts]
    extent = list(shapes[0])
    extent[recipe.axis] = sum(shape[recipe.axis] for shape in shapes)
    whole = np.empty(extent, np.float32)
    by_output = np.moveaxis(whole, recipe.axis, 0)
    start = 0
    for part in recipe.parts:
        piece = _piece(part, recipe.axis, load)
        if isinstance(piece, str):
            return piece
        rows = np.moveaxis(piece, recipe.axis, 0)
        by_output[start : start + len(rows)] = to_float32(rows)
        start += len(rows)
    return whole


def _piece(
    part: WeightPart, axis: int, load: Callable[[StoredWeight], Stored | str]
) -> Stored | str:
    """What is taken of a stored weight, as a matrix: a view wherever the weight is one."""
    values = load(part.weight)
    if isinstance(values, str):
        return values
    if part.expert is not None:
        values = values[part.expert]
    if values.ndim > MATRIX_DIMENSIONS:
        values = values.reshape(values.shape[0], math.prod(values.shape[1:]))
    if part.rows is None:
        return values
    rows = slice(part.rows.start, part.rows.stop)
    return values[rows] if axis == 0 else values[:, rows]
