"""What the run optimises, as far as the names of its numbers tell.

A pure, deterministic function of the event sequence.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

import attrs
import msgspec

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch
from gradience.core.telemetry.events import Eval, RunStart


class Objective(Enum):
    """Kinds of training that a loss means something different for."""

    SUPERVISED = "supervised"
    """A loss that is at least zero and that learning brings down: cross-entropy and its kin."""
    PREFERENCE = "preference"
    """DPO, KTO, ORPO …: a loss over pairs, which falls far below a cross-entropy's."""
    REINFORCEMENT = "reinforcement"
    """GRPO, PPO, RLOO …: a surrogate loss, about zero or negative by design."""


PREFERENCE_NAMES = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "mean_reward",
    "log_odds_ratio",
)
"""What TRL's DPO, KTO, ORPO, CPO and reward trainers log (and their evaluations)."""

PREFERENCE_PREFIXES = ("logps/", "logits/chosen", "logits/rejected")

REINFORCEMENT_NAMES = (
    "reward",
    "reward_std",
    "clip_ratio",
    "completion_length",
    "policy_loss",
    "frac_reward_zero_std",
)
"""What TRL's GRPO and RLOO trainers log, LLaMA-Factory's PPO (``reward``) and OpenRLHF."""

REINFORCEMENT_PREFIXES = (
    "rewards/",
    "completions/",
    "clip_ratio/",
    "objective/",
    "policy/",
    "val/clipfrac",
    "actor/",
    "critic/",
)

OBJECTIVE = "objective"
"""Name, in the training part's extras, of what a configuration says about it."""

CONFIGURED: Mapping[str, Objective] = {
    "sft": Objective.SUPERVISED,
    "pretrain": Objective.SUPERVISED,
    "classification": Objective.SUPERVISED,
    "distillation": Objective.SUPERVISED,
    "reward": Objective.PREFERENCE,
    "dpo": Objective.PREFERENCE,
    "kto": Objective.PREFERENCE,
    "orpo": Objective.PREFERENCE,
    "simpo": Objective.PREFERENCE,
    "cpo": Objective.PREFERENCE,
    "grpo": Objective.REINFORCEMENT,
    "ppo": Objective.REINFORCEMENT,
    "rloo": Objective.REINFORCEMENT,
}
"""What the words for training methods mean."""

LABEL_NAMES = frozenset(
    {"f1", "precision", "recall", "roc_auc", "auc", "mcc", "matthews_correlation", "f1_macro"}
)
"""Metrics of evaluations that score labels."""

ACCURACY = "accuracy"
"""Labels are scored by it, and next tokens are: it tells only where nothing else does."""

PERPLEXITIES = frozenset({"ppl", "perplexity"})
"""Metrics of evaluations that score next tokens."""

TASK_TYPE = "task_type"
"""Name, in the LoRA part's extras, of what the head is."""

LABEL_TASKS = frozenset({"SEQ_CLS", "TOKEN_CLS"})

LLAMA_FACTORY = "llama_factory"
"""Under ``converted_from`` in the ``meta``: its log calls DPO's ``rewards/accuracies`` plain
``accuracy``, and logs that name for nothing else."""


class ObjectiveSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the run optimises, and what shows it."""

    kind: Objective = Objective.SUPERVISED
    because: str | None = None
    """The name of the number, or the setting, that shows it; None where nothing did and
    supervised training is assumed."""
    classification: bool = False
    """Whether labels are scored: by the configuration's task, else by the evaluations' metrics."""


def training_objective() -> Analyzer["ObjectiveState", ObjectiveSignal]:
    """The analyzer of what a run optimises."""
    return Analyzer(ObjectiveState, _update, _result)


@attrs.frozen
class ObjectiveState:
    """What told so far."""

    configured: str | None = None
    task: str | None = None
    llama_factory: bool = False
    accuracy_of_steps: bool = False
    preference: str | None = None
    reinforcement: str | None = None
    labels: bool = False
    accuracy: bool = False
    perplexity: bool = False


def _update(state: ObjectiveState, batch: Batch) -> ObjectiveState:
    names: set[str] = set()
    names.update(batch.extra_names)
    state = attrs.evolve(state, accuracy_of_steps=state.accuracy_of_steps or ACCURACY in names)
    for _, event in batch.others:
        if isinstance(event, Eval):
            names.update(event.metrics)
            state = _with_metrics(state, event.metrics)
        elif isinstance(event, RunStart):
            state = _configured(state, event)
    return attrs.evolve(
        state,
        preference=_least(state.preference, names, PREFERENCE_NAMES, PREFERENCE_PREFIXES),
        reinforcement=_least(
            state.reinforcement, names, REINFORCEMENT_NAMES, REINFORCEMENT_PREFIXES
        ),
    )


def _with_metrics(state: ObjectiveState, metrics: Mapping[str, object]) -> ObjectiveState:
    return attrs.evolve(
        state,
        labels=state.labels or not LABEL_NAMES.isdisjoint(metrics),
        accuracy=state.accuracy or ACCURACY in metrics,
        perplexity=state.perplexity or not PERPLEXITIES.isdisjoint(metrics),
    )


def _configured(state: ObjectiveState, event: RunStart) -> ObjectiveState:
    config = event.config
    word = str(config.training.extras.get(OBJECTIVE, "")).lower()
    task = config.lora.extras.get(TASK_TYPE)
    converted = event.meta.get("converted_from") == LLAMA_FACTORY
    return attrs.evolve(
        state,
        configured=word if word in CONFIGURED else state.configured,
        task=str(task).upper() if task else state.task,
        llama_factory=state.llama_factory or converted,
    )


def _least(
    known: str | None, names: Iterable[str], exact: tuple[str, ...], prefixes: tuple[str, ...]
) -> str | None:
    """The first in the alphabet of the telling names, so that no order of records matters."""
    telling = {name for name in names if name in exact or name.startswith(prefixes)}
    return min(telling if known is None else {known, *telling}, default=None)


def _result(state: ObjectiveState) -> ObjectiveSignal:
    kind, because = _kind(state)
    return ObjectiveSignal(kind=kind, because=because, classification=_scores_labels(state))


def _kind(state: ObjectiveState) -> tuple[Objective, str | None]:
    if state.configured is not None:
        return CONFIGURED[state.configured], state.configured
    if state.preference is not None:
        return Objective.PREFERENCE, state.preference
    if state.reinforcement is not None:
        return Objective.REINFORCEMENT, state.reinforcement
    if state.llama_factory and state.accuracy_of_steps:
        return Objective.PREFERENCE, ACCURACY
    return Objective.SUPERVISED, None


def _scores_labels(state: ObjectiveState) -> bool:
    if state.configured == "classification" or state.task in LABEL_TASKS:
        return True
    if state.configured is not None or state.task is not None or state.perplexity:
        return False
    return state.labels or state.accuracy
