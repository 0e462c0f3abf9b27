"""One door to all schemes: missing parts, no mutation, bounded memory."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from gradience.core.quantisation.bitsandbytes import CODE_BOOKS
from gradience.core.quantisation.stored import Stored
from tests.core.quantisation.packing import PATH, Checkpoint, json_bytes, typed

RANDOM = np.random.default_rng(0)
SIDE = 2048


def _words(shape: tuple[int, int]) -> Stored:
    return RANDOM.integers(-(2**31), 2**31, size=shape).astype(np.int32)


def _large(scheme: str) -> Checkpoint:
    scales = np.ones((SIDE // 128, SIDE), dtype=np.float16)
    zeros = _words((SIDE // 128, SIDE // 8))
    if scheme == "gptq":
        tensors = {".qweight": _words((SIDE // 8, SIDE)), ".qzeros": zeros, ".scales": scales}
        return Checkpoint(tensors, {"bits": 4, "group_size": 128})
    if scheme == "awq":
        tensors = {".qweight": _words((SIDE, SIDE // 8)), ".qzeros": zeros, ".scales": scales}
        return Checkpoint(tensors, {"bits": 4, "group_size": 128})
    if scheme == "fp8":
        weight = typed(np.ones((SIDE, SIDE), dtype=np.float32), ml_dtypes.float8_e4m3fn)
        scale = np.ones((SIDE // 128, SIDE // 128), dtype=np.float32)
        return Checkpoint({".weight": weight, ".weight_scale_inv": scale}, {})
    if scheme == "int8":
        codes = RANDOM.integers(-127, 128, size=(SIDE, SIDE), dtype=np.int8)
        return Checkpoint({".weight": codes, ".SCB": np.ones(SIDE, dtype=np.float32)}, {})
    state = {"quant_type": "nf4", "blocksize": 64, "shape": [SIDE, SIDE]}
    return Checkpoint(
        {
            ".weight": RANDOM.integers(0, 256, size=(SIDE * SIDE // 2, 1), dtype=np.uint8),
            ".weight.absmax": np.ones(SIDE * SIDE // 64, dtype=np.float32),
            ".weight.quant_map": np.array(CODE_BOOKS["nf4"], dtype=np.float32),
            ".weight.quant_state.bitsandbytes__nf4": json_bytes(state),
        },
        {},
    )


@pytest.mark.parametrize("scheme", ["gptq", "awq", "fp8", "int8", "nf4"])
def test_memory_is_at_most_thrice_the_result(scheme: str) -> None:
    checkpoint = _large(scheme)
    before = {end: part.copy() for end, part in checkpoint.tensors.items()}
    tracemalloc.start()
    found = checkpoint.dequantised()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, np.ndarray)
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert peak < 3 * found.nbytes
    for end, part in checkpoint.tensors.items():
        assert part.tobytes() == before[end].tobytes()


def test_parts_that_were_not_read_are_named() -> None:
    reason = _large("int8").damaged(SCB=None, weight=None)
    assert reason == f"bitsandbytes int8 needs {PATH}.SCB, {PATH}.weight"
