"""X·Xᵀ of a large factor in float64, streamed in blocks that stay in cache."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Factor = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]
"""A factor as it was read; bfloat16 and float8 arrays (ml_dtypes) are fine at run time."""

GramReduction = Callable[[Factor], Floats]
"""X of shape (r, d) → X·Xᵀ, (r, r) in float64: the one step that touches the large factors."""

BLOCK_ELEMENTS = 2**17
"""Elements widened to float64 at a time: 1 MiB, within a core's second-level cache."""

GRAM_ERROR = 8.0
"""Error of an entry of a Gram matrix, in units of the arithmetic's epsilon times the norms of its
two vectors. Summing n products pairwise keeps it below log₂(n) (Higham 2002, §4.2)."""

BFLOAT16 = "bfloat16"

HALF_BITS = 16


def row_gram(rows: Factor, block_elements: int = BLOCK_ELEMENTS) -> Floats:
    """X·Xᵀ in float64.

    Args:
        rows: X, shape (r, d), any float dtype and memory order; not mutated.
        block_elements: Elements widened at a time.

    Returns:
        The Gram matrix, shape (r, r); NaN or infinite on the diagonal wherever a row has a value
        that is not finite (or, in float64 alone, squares that overflow).
    """
    gram = np.zeros((rows.shape[0], rows.shape[0]))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in wide_blocks(rows, block_elements):
            gram += block @ block.T
    return gram


def wide_blocks(rows: Factor, block_elements: int = BLOCK_ELEMENTS) -> Iterator[Floats]:
    """Blocks of columns in float64, each valid until the next is asked for.

    bfloat16 is the upper half of a float32, so its bits are shifted there: several times as fast
    as a cast value by value.
    """
    height, length = rows.shape
    width = min(max(1, block_elements // max(1, height)), max(1, length))
    by_row = rows.strides[0] >= rows.strides[1]
    wide: Floats = np.empty((height, width), order="C" if by_row else "F")
    is_brain = rows.dtype.name == BFLOAT16
    bits = np.empty((height, width * is_brain), np.uint32, order="C" if by_row else "F")
    for start in range(0, length, width):
        block = rows[:, start : start + width]
        into = wide[:, : block.shape[1]]
        if is_brain:
            half = bits[:, : block.shape[1]]
            np.left_shift(block.view(np.uint16), HALF_BITS, out=half, dtype=np.uint32)
            np.copyto(into, half.view(np.float32))
        else:
            np.copyto(into, block)
        yield into
