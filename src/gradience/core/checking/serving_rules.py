"""Rules on what serving the adapter will cost, or refuse."""

import math
from statistics import median

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import flag, names, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import CLASSIFIER_HEADS, Subject
from gradience.core.severity import Severity

_EMBEDDINGS = frozenset({"embed_tokens", "lm_head", "wte", "embed_in", "embed_out"})
"""Modules with a row for every token of the vocabulary."""

_REST = "served merged into the base it is no matter"

_LOADER = "vLLM's loader (vllm/lora/peft_helper.py, 2025)"


def needed_of_vllm(rank: float | None, policy: CheckPolicy) -> int | None:
    """The smallest ``max_lora_rank`` that vLLM takes and that holds a rank.

    Args:
        rank: The largest rank of any module.
        policy: What vLLM takes.

    Returns:
        The value; None where vLLM's default will do, and where no value is large enough.
    """
    if rank is None or rank <= policy.vllm_rank:
        return None
    return min((allowed for allowed in policy.vllm_ranks if allowed >= rank), default=None)


def _served_rank(subject: Subject) -> float | None:
    """The rank that a server must provide for; None where there is none, or for a classifier."""
    rank = subject.max_rank
    return None if rank is None or not math.isfinite(rank) or subject.easy_task else rank


def _above_default(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = _served_rank(subject)
    room = needed_of_vllm(rank, policy)
    if rank is None or room != rank:
        return None
    return Verdict(
        Severity.INFO,
        f"vLLM serves rank {written(rank)} with max_lora_rank={room}; its default of "
        f"{policy.vllm_rank} refuses it",
        {"max_rank": rank, "max_lora_rank": room},
    )


def _above_all(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank, largest = _served_rank(subject), max(policy.vllm_ranks, default=0)
    if rank is None or rank <= largest:
        return None
    return Verdict(
        Severity.INFO,
        f"vLLM serves no adapter above rank {largest}, and this one has {written(rank)}; {_REST}",
        {"max_rank": rank, "largest": largest},
    )


def _padded(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = _served_rank(subject)
    room = needed_of_vllm(rank, policy)
    if rank is None or room in (None, rank):
        return None
    return Verdict(
        Severity.INFO,
        f"vLLM serves rank {written(rank)} with max_lora_rank={room}, and pads to that: its memory "
        f"and time are those of rank {room}",
        {"max_rank": rank, "max_lora_rank": room},
    )


def _outlier(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank, ranks = _served_rank(subject), subject.module_ranks
    if rank is None or len(set(ranks)) == 1 or rank <= policy.vllm_rank:
        return None
    usual = median(ranks)
    if rank < policy.rank_outlier * usual:
        return None
    return Verdict(
        Severity.INFO,
        f"a server pays for the largest rank, {written(rank)}, in every module, where "
        f"{written(usual)} is usual: a uniform rank of {written(usual)} would be cheaper to serve",
        {"max_rank": rank, "usual_rank": usual},
    )


def _saved(subject: Subject) -> list[str]:
    saved = names(subject.config.lora.extras, "modules_to_save")
    return sorted(set(saved) - CLASSIFIER_HEADS)


def _refused_modules(subject: Subject, _: CheckPolicy) -> Verdict | None:
    saved = _saved(subject)
    if not saved or subject.easy_task:
        return None
    return Verdict(
        Severity.INFO,
        f"vLLM refuses an adapter with modules_to_save ({', '.join(saved)}); {_REST}",
        {"modules_to_save": saved},
    )


def _as_large_as_the_model(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    saved, fit = _saved(subject), subject.model
    if fit is not None and fit.base_params and fit.saved_module_params:
        share = fit.saved_module_params / fit.base_params
        if share < policy.saved_share_high:
            return None
        return Verdict(
            Severity.WARNING,
            f"the modules saved in full make up {100 * share:.0f} % of the base model: the adapter "
            "grows by them, and so do gradients and optimizer states",
            {"saved_module_params": fit.saved_module_params, "base_params": fit.base_params},
        )
    whole = [name for name in saved if name.rpartition(".")[2] in _EMBEDDINGS]
    if not whole or (fit is not None and fit.base_params):
        return None
    return Verdict(
        Severity.INFO,
        f"{' and '.join(whole)} will be trained and saved in full, which may be larger than all "
        "LoRA factors together (--model tells how large); for new tokens alone there is "
        "trainable_token_indices",
        {"modules_to_save": whole},
    )


def _dora(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not flag(subject.config.lora.extras, "use_dora"):
        return None
    return Verdict(Severity.INFO, f"vLLM refuses DoRA adapters; {_REST}", {"use_dora": True})


def _bias(subject: Subject, _: CheckPolicy) -> Verdict | None:
    lora = subject.config.lora
    bias = lora.bias if lora.bias not in (None, "none") else None
    if (bias is None and not flag(lora.extras, "lora_bias")) or subject.easy_task:
        return None
    return Verdict(
        Severity.INFO,
        f"biases are trained, which vLLM has refused in adapters; {_REST}",
        {"bias": bias, "lora_bias": flag(lora.extras, "lora_bias")},
    )


def _ignored_pattern(subject: Subject, _: CheckPolicy) -> Verdict | None:
    ranks = sorted(set(subject.module_ranks))
    if len(ranks) <= 1 or subject.easy_task:
        return None
    return Verdict(
        Severity.INFO,
        "ranks differ between modules, and not every loader reads rank_pattern: compare the served "
        "outputs with PEFT's",
        {"ranks": ranks},
    )


RULES = (
    Rule(
        code="GR801",
        name="rank-above-vllm-default",
        summary="A rank that vLLM's default settings refuse (the report names the setting anyway).",
        severity=Severity.INFO,
        action="set_max_lora_rank",
        scope="lora.r",
        rationale="vLLM allocates for max_lora_rank beforehand; a larger adapter is rejected.",
        source="vllm-project/vllm#2847; vllm/config/lora.py, 2025",
        confidence=0.9,
        refuted_by="vLLM, started with its defaults, loads the adapter.",
        judge=_above_default,
        speaks="lora: {r: 32}",
        silent="lora: {r: 16}",
        thresholds=("vllm_rank", "vllm_ranks"),
        lora_only=True,
        optional=True,
    ),
    Rule(
        code="GR802",
        name="rank-above-vllm",
        summary="A rank that vLLM serves with no setting.",
        severity=Severity.INFO,
        action="consider_reduce_rank",
        scope="lora.r",
        rationale="max_lora_rank takes one of a few values.",
        source="vllm/config/lora.py, 2025",
        confidence=0.8,
        refuted_by="vLLM loads the adapter.",
        judge=_above_all,
        speaks="lora: {r: 513}",
        silent="lora: {r: 512}",
        thresholds=("vllm_ranks",),
        lora_only=True,
    ),
    Rule(
        code="GR803",
        name="padded-rank",
        summary="A rank that serving pads to the next one allowed.",
        severity=Severity.INFO,
        action="reduce_rank_for_efficiency",
        scope="lora.r",
        rationale="The memory and the time are those of the padded rank.",
        source="vllm-project/vllm#22782; vllm/config/lora.py, 2025",
        confidence=0.7,
        refuted_by="The throughput at this rank differs from that at the padded one.",
        judge=_padded,
        speaks="lora: {r: 48}",
        silent="lora: {r: 64}",
        thresholds=("vllm_rank", "vllm_ranks"),
        lora_only=True,
    ),
    Rule(
        code="GR804",
        name="modules-to-save",
        summary="Modules saved in full, which vLLM refuses.",
        severity=Severity.INFO,
        action="review_modules_to_save",
        scope="lora.modules_to_save",
        rationale="vLLM keeps one base for all adapters and swaps low-rank factors alone.",
        source=f"{_LOADER}; vllm-project/vllm#9280",
        confidence=0.8,
        refuted_by="vLLM loads the adapter.",
        judge=_refused_modules,
        speaks="lora: {extras: {modules_to_save: [lm_head]}}",
        silent="lora: {extras: {modules_to_save: [score]}}",
        lora_only=True,
    ),
    Rule(
        code="GR805",
        name="rank-outlier",
        summary="One module's large rank undoes what a rank_pattern saves in serving.",
        severity=Severity.INFO,
        action="reduce_rank_for_efficiency",
        scope="lora.rank_pattern",
        rationale="vLLM allocates every module at the largest rank of any.",
        source="vllm-project/vllm#22782 for the padding; that an outlier undoes the saving, and "
        "the edge, are inferred",
        confidence=0.5,
        refuted_by="The server's memory with this pattern is below that of the uniform rank.",
        judge=_outlier,
        speaks="lora: {r: 8, extras: {rank_pattern: {q_proj: 64, k_proj: 8}}}",
        silent="lora: {r: 8, extras: {rank_pattern: {q_proj: 16, k_proj: 8}}}",
        thresholds=("vllm_rank", "rank_outlier"),
        lora_only=True,
    ),
    Rule(
        code="GR806",
        name="adapter-as-large-as-the-model",
        summary="Embeddings or heads saved in full make the adapter large.",
        severity=Severity.WARNING,
        action="review_modules_to_save",
        scope="lora.modules_to_save",
        rationale="A vocabulary's rows outnumber the factors many times. A warning where the model "
        "is known and the share is large.",
        source="unslothai/unsloth#1093: an adapter as big as the model; the edge is inferred",
        confidence=0.7,
        refuted_by="The saved adapter is no larger than its factors.",
        judge=_as_large_as_the_model,
        speaks="{lora: {extras: {modules_to_save: [lm_head]}}, "
        "model_fit: {base_params: 1000, saved_module_params: 200}}",
        silent="{lora: {extras: {modules_to_save: [lm_head]}}, "
        "model_fit: {base_params: 1000, saved_module_params: 20}}",
        thresholds=("saved_share_high",),
        lora_only=True,
    ),
    Rule(
        code="GR807",
        name="dora-in-serving",
        summary="A DoRA adapter, which vLLM refuses.",
        severity=Severity.INFO,
        action="review_serving",
        scope="lora.use_dora",
        rationale="DoRA rescales the whole weight, which is not one product beside the base.",
        source=_LOADER,
        confidence=0.8,
        refuted_by="vLLM loads the adapter.",
        judge=_dora,
        speaks="lora: {extras: {use_dora: true}}",
        silent="lora: {extras: {use_dora: false}}",
        lora_only=True,
    ),
    Rule(
        code="GR808",
        name="bias-in-serving",
        summary="Trained biases, which vLLM has refused.",
        severity=Severity.INFO,
        action="review_serving",
        scope="lora.bias",
        rationale="Support has come and gone between versions.",
        source="vLLM's loader in a secondary copy: not read in its source for every version",
        confidence=0.3,
        refuted_by="vLLM loads the adapter.",
        judge=_bias,
        speaks="lora: {bias: all}",
        silent="lora: {bias: none}",
        lora_only=True,
    ),
    Rule(
        code="GR809",
        name="rank-pattern-in-serving",
        summary="Ranks that differ between modules, which a loader may ignore.",
        severity=Severity.INFO,
        action="review_serving",
        scope="lora.rank_pattern",
        rationale="A loader that reads r alone scales or shapes the other modules wrongly.",
        source="NVIDIA/TensorRT-LLM#2366, about its loader of that time",
        confidence=0.4,
        refuted_by="The server's outputs are those of PEFT.",
        judge=_ignored_pattern,
        speaks="lora: {r: 8, extras: {rank_pattern: {q_proj: 4}}}",
        silent="lora: {r: 8, extras: {rank_pattern: {q_proj: 8}}}",
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
