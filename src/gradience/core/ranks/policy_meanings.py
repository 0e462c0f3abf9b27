"""What each rank policy measures, and what moves it, in one sentence each."""

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

UNKNOWN = "A policy that this version does not know."


def policy_meaning(label: str) -> str:
    """One sentence on what a policy measures.

    Args:
        label: The policy as text, such as ``energy@0.90``.

    Returns:
        The sentence, with the threshold in it; :data:`UNKNOWN` for another tool's policy.
    """
    name, _, threshold = label.partition("@")
    meaning = _MEANINGS.get(name)
    if meaning is None:
        return UNKNOWN
    return meaning.measures.format(t=threshold or "t", percent=_percent(threshold))


def disagreement_reasons(k_by_policy: Mapping[str, int]) -> tuple[str, ...]:
    """Why the policies that ask for most and for least differ.

    Args:
        k_by_policy: Policy label → k.

    Returns:
        A sentence for the highest and one for the lowest; none where all ask for the same.
    """
    if not k_by_policy or min(k_by_policy.values()) == max(k_by_policy.values()):
        return ()
    return tuple(
        _extreme(end, k, [label for label, found in k_by_policy.items() if found == k])
        for end, k in (
            ("most", max(k_by_policy.values())),
            ("least", min(k_by_policy.values())),
        )
    )


def _extreme(end: str, k: int, labels: Sequence[str]) -> str:
    names = dict.fromkeys(label.partition("@")[0] for label in labels)
    movers = [_MEANINGS[name].moved_by for name in names if name in _MEANINGS]
    verb = "asks" if len(labels) == 1 else "ask"
    return f"{', '.join(labels)} {verb} for {end} ({k})" + "".join(f"; {m}" for m in movers)


def _percent(threshold: str) -> str:
    try:
        return f"{100 * float(threshold):g}%"
    except ValueError:
        return "a share"
