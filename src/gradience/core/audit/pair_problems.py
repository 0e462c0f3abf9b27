"""Why the two factors of a pair make no update, from their headers alone."""

import math

from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    FactorForm,
    LoraPair,
    TensorInfo,
)
from gradience.core.audit.report import Finding
from gradience.core.severity import Severity

FLOAT_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
"""Types of factors that are numbers as they stand; integer factors need a scale that no
adapter format defines."""

PLAIN_FORMS = frozenset({FactorForm.TRANSPOSED, FactorForm.EXPERT_ROWS})
"""Forms that only matrices have."""

LARGEST_RANK = 2**12
"""No rank above this is reduced: its r x r matrices would take gigabytes, and real adapters stay
below 1,000 (LoRA Without Regret tries 512)."""

FREE_RANK = 2**9
"""Ranks up to this may exceed both sides of the weight (a small head among larger layers does)."""

MOST_EXPERTS = 2**12
"""No stack of more experts is audited: each is a module of its own, and models have hundreds
(Kimi K2 has 384)."""


def pair_problem(pair: LoraPair) -> Finding | None:
    """Why a pair cannot be audited, or None.

    Args:
        pair: The pair.

    Returns:
        An error for factors that are empty, differ in rank, hold no floating-point numbers, or
        claim an absurd rank or number of experts, so that a small file can cost much memory or
        time. A pair that AdaLoRA pruned to rank 0 has no problem.
    """
    if is_pruned(pair):
        return None
    problem = _shape_problem(pair) or _dtype_problem(pair)
    if problem is None:
        return None
    return Finding(
        severity=Severity.ERROR,
        code="unreadable_pair",
        message=f"{pair.module}: {problem}",
        remedy="Save the adapter again with the tool that trained it (under DeepSpeed ZeRO-3 or "
        "FSDP, gather the parameters first).",
        modules=(pair.module,),
    )


def is_pruned(pair: LoraPair) -> bool:
    """Whether AdaLoRA left the module without a direction."""
    return pair.rank == 0 and (pair.values is not None or pair.kept is not None)


def _shape_problem(pair: LoraPair) -> str | None:
    a, b = pair.a, pair.b
    if 0 in (*a.shape, *b.shape):
        return f"lora_A {a.shape} and lora_B {b.shape} are empty"
    if pair.form in PLAIN_FORMS and not len(a.shape) == len(b.shape) == MATRIX_DIMENSIONS:
        return f"lora_A {a.shape} and lora_B {b.shape} are no matrices"
    if pair.form is FactorForm.EXPERT_STACK and a.shape[0] != b.shape[0]:
        return f"lora_A {a.shape} and lora_B {b.shape} differ in their number of experts"
    wrong = _rank_problem(pair)
    if wrong is not None:
        return wrong
    absurd = _absurd_extent(pair)
    if absurd is not None:
        return absurd
    if pair.values is not None and pair.values.size != a.shape[0]:
        return f"lora_A {a.shape} and lora_E {pair.values.shape} differ in rank"
    return None


def _absurd_extent(pair: LoraPair) -> str | None:
    if pair.rank > LARGEST_RANK:
        return f"rank {pair.rank} is beyond any LoRA ({LARGEST_RANK} at most is audited)"
    if pair.rank > max(FREE_RANK, *pair.update_shape):
        return f"rank {pair.rank} is beyond both sides of the weight, {pair.update_shape}"
    if (pair.experts or 1) > MOST_EXPERTS:
        return f"{pair.experts} experts are beyond any model ({MOST_EXPERTS} at most are audited)"
    return None


def _rank_problem(pair: LoraPair) -> str | None:
    a, b = pair.a, pair.b
    inner = _inner_ranks(pair.form, a, b)
    if inner[0] == inner[1]:
        return None
    groups, rest = divmod(inner[0], inner[1]) if inner[1] else (0, 1)
    if not rest and len(b.shape) > len(("d_out", "r")) and pair.form is FactorForm.MATRICES:
        return f"lora_B {b.shape} is of a convolution with {groups} groups, which is not audited"
    return f"lora_A {a.shape} and lora_B {b.shape} differ in rank"


def _inner_ranks(form: FactorForm, a: TensorInfo, b: TensorInfo) -> tuple[int, int]:
    """The extents of the two factors that must agree."""
    match form:
        case FactorForm.TRANSPOSED:
            return a.shape[1], b.shape[0]
        case FactorForm.EXPERT_STACK:
            return a.shape[1], b.shape[2]
        case FactorForm.EXPERT_ROWS:
            return a.shape[0], b.shape[1]
        case FactorForm.MATRICES:
            return a.shape[0], math.prod(b.shape[1:])


def _dtype_problem(pair: LoraPair) -> str | None:
    tensors = [pair.a, pair.b] if pair.values is None else [pair.a, pair.b, pair.values]
    wrong = {tensor.dtype for tensor in tensors} - FLOAT_DTYPES
    if wrong:
        found = " and ".join(tensor.dtype for tensor in tensors)
        return f"factors of dtype {found} are no floating-point numbers"
    return None
