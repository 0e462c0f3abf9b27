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


PREFERENCE_NAMES = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
"""What TRL's DPO, KTO, ORPO and CPO trainers log (and their evaluations)."""

PREFERENCE_PREFIXES = ("logps/", "logits/chosen", "logits/rejected")

REINFORCEMENT_NAMES = ("reward", "reward_std", "clip_ratio", "completion_length")
"""What TRL's GRPO and RLOO trainers log."""

REINFORCEMENT_PREFIXES = (
    "rewards/",
    "completions/",
    "clip_ratio/",
    "objective/",
    "policy/",
    "val/clipfrac",
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

CLASSIFICATION_NAMES = frozenset({"accuracy", "f1", "precision", "recall", "roc_auc", "auc", "mcc"})
"""Metrics of evaluations that score labels."""


class ObjectiveSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the run optimises, and what shows it."""

    kind: Objective = Objective.SUPERVISED
    because: str | None = None
    """The name of the number, or the setting, that shows it; None where nothing did and
    supervised training is assumed."""
    classification: bool = False
    """Whether evaluations score labels (:data:`CLASSIFICATION_NAMES`)."""


def training_objective() -> Analyzer["ObjectiveState", ObjectiveSignal]:
    """The analyzer of what a run optimises."""
    return Analyzer(ObjectiveState, _update, _result)


@attrs.frozen
class ObjectiveState:
    """What told so far."""

    configured: str | None = None
    preference: str | None = None
    reinforcement: str | None = None
    classification: bool = False


def _update(state: ObjectiveState, batch: Batch) -> ObjectiveState:
    names: set[str] = set()
    names.update(*(step.extras for _, step in batch.steps_with_extras()))
    for _, event in batch.others:
        if isinstance(event, Eval):
            names.update(event.metrics)
            if not CLASSIFICATION_NAMES.isdisjoint(event.metrics):
                state = attrs.evolve(state, classification=True)
        elif isinstance(event, RunStart):
            word = str(event.config.training.extras.get(OBJECTIVE, "")).lower()
            if word in CONFIGURED:
                state = attrs.evolve(state, configured=word)
    return attrs.evolve(
        state,
        preference=_least(state.preference, names, PREFERENCE_NAMES, PREFERENCE_PREFIXES),
        reinforcement=_least(
            state.reinforcement, names, REINFORCEMENT_NAMES, REINFORCEMENT_PREFIXES
        ),
    )


def _least(
    known: str | None, names: Iterable[str], exact: tuple[str, ...], prefixes: tuple[str, ...]
) -> str | None:
    """The first in the alphabet of the telling names, so that no order of records matters."""
    telling = {name for name in names if name in exact or name.startswith(prefixes)}
    return min(telling if known is None else {known, *telling}, default=None)


def _result(state: ObjectiveState) -> ObjectiveSignal:
    kind, because = Objective.SUPERVISED, None
    if state.configured is not None:
        kind, because = CONFIGURED[state.configured], state.configured
    elif state.preference is not None:
        kind, because = Objective.PREFERENCE, state.preference
    elif state.reinforcement is not None:
        kind, because = Objective.REINFORCEMENT, state.reinforcement
    return ObjectiveSignal(kind=kind, because=because, classification=state.classification)
