"""What each rank policy and budget measures, and what moves the policies, in a sentence each."""

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class _Meaning:
    measures: str
    """``{t}`` stands for the threshold, ``{percent}`` for it in percent."""
    moved_by: str


_MEANINGS: Mapping[str, _Meaning] = {
    "energy": _Meaning(
        "Least k whose directions hold {percent} of Σσ² (PEFT's convention).",
        "energy gathers a share of Σσ², so that a slowly falling spectrum asks for many directions",
    ),
    "stable_rank": _Meaning(
        "Σσ²/σ₁², rounded up: how many directions as strong as the first hold the same energy.",
        "stable_rank divides by σ₁², so that one dominant direction pulls it towards 1",
    ),
    "erank": _Meaning(
        "exp H(σ/Σσ), rounded up: how many equal directions have the same entropy.",
        "erank weighs the tail: many small values raise it, however little energy they hold",
    ),
    "knee": _Meaning(
        "The directions before the sharpest bend of the spectrum (Kneedle).",
        "knee looks for a bend and not for an amount: what lies behind it may hold energy",
    ),
    "oht": _Meaning(
        "The values above ω(β)·median(σ), the optimal hard threshold for unknown noise.",
        "oht compares with the median of the r values, which the tail alone decides",
    ),
    "null": _Meaning(
        "The leading directions whose share of Σσ² exceeds that of 95% of random updates.",
        "null counts what exceeds noise, and a dominant first direction lowers the others' shares",
    ),
    "sv_fro": _Meaning(
        "Least k whose directions hold {percent} of ‖ΔW‖_F, hence its square of Σσ² (kohya).",
        "sv_fro gathers σ² as energy does, but t² of it, which is less",
    ),
    "sv_cumulative": _Meaning(
        "Least k whose values hold {percent} of Σσ (kohya).",
        "sv_cumulative gathers σ and not σ², so that the tail counts for more",
    ),
    "sv_ratio": _Meaning(
        "The values above σ₁/{t} (kohya).",
        "sv_ratio sets each value beside σ₁ alone, however many there are",
    ),
}

_BUDGETS: Mapping[str, str] = {
    "budget": "The rank where all modules together lose the least energy on {percent} of their "
    "parameters.",
    "budget_params": "The rank where all modules together lose the least energy on {t} parameters.",
    "budget_error": "The rank where all modules together meet a relative error of {percent} with "
    "the fewest parameters.",
}
"""They weigh all modules together, so none disagrees with the policies of one spectrum."""

UNKNOWN = "A policy that this version does not know."


def policy_meaning(label: str) -> str:
    """One sentence on what a policy or budget measures.

    Args:
        label: Its text, such as ``energy@0.90``.

    Returns:
        The sentence, with the threshold in it; :data:`UNKNOWN` for another tool's policy.
    """
    name, _, threshold = label.partition("@")
    measures = _MEANINGS[name].measures if name in _MEANINGS else _BUDGETS.get(name, UNKNOWN)
    return measures.format(t=_number(threshold), percent=_percent(threshold))


def disagreement_reasons(k_by_policy: Mapping[str, int]) -> tuple[str, ...]:
    """Why the policies that ask for most and for least differ.

    Args:
        k_by_policy: Policy label → k; budgets are passed over.

    Returns:
        A sentence for the highest and one for the lowest; none where all ask for the same.
    """
    ranks = {label: k for label, k in k_by_policy.items() if _name(label) not in _BUDGETS}
    if len(set(ranks.values())) <= 1:
        return ()
    return tuple(
        _extreme(end, k, [label for label, found in ranks.items() if found == k])
        for end, k in (("most", max(ranks.values())), ("least", min(ranks.values())))
    )


def _extreme(end: str, k: int, labels: Sequence[str]) -> str:
    names = dict.fromkeys(map(_name, labels))
    movers = [_MEANINGS[name].moved_by for name in names if name in _MEANINGS]
    verb = "asks" if len(labels) == 1 else "ask"
    return f"{', '.join(labels)} {verb} for {end} ({k})" + "".join(f"; {m}" for m in movers)


def _name(label: str) -> str:
    return label.partition("@")[0]


def _number(threshold: str) -> str:
    """Without the zeros behind the point."""
    return threshold.rstrip("0").rstrip(".") if "." in threshold else threshold or "t"


def _percent(threshold: str) -> str:
    try:
        return f"{100 * float(threshold):g}%"
    except ValueError:
        return "a share"
