"""What to try about an alert: one hypothesis for each code, as data.

The alert says what was seen; the advice, what a careful expert would try first, with the
experiment that would show it wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import attrs

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Recommendation


@attrs.frozen(kw_only=True)
class Advice:
    """The recommendation that belongs to an alert."""

    action: str
    """The word of the contract's vocabulary where one fits."""
    message: str
    rationale: str
    confidence: float
    """0 to 1: how well the evidence carries the advice."""
    scope: str
    source: str
    refuted_by: str
    at_least: Severity = Severity.WARNING
    """A milder alert needs no advice."""


ADVICE: Mapping[str, Advice] = MappingProxyType(
    {
        "divergence": Advice(
            action="lower_lr",
            message="go back to a checkpoint before the loss left its level and train on at a "
            "third of the learning rate, with clipping",
            rationale="A loss that leaves its level for good seldom comes back by itself; a lower "
            "rate is what cured most reported cases.",
            confidence=0.6,
            scope="optimizer.lr",
            source="haotian-liu/LLaVA#918 and #1301 (cured by a tenth of the rate); PaLM (arXiv "
            "2204.02311, section 5.1: restart about 100 steps earlier)",
            refuted_by="The same run from the earlier checkpoint at a third of the rate leaves its "
            "level as well: look at the data and the precision.",
        ),
        "loss_spike": Advice(
            action="consider_lower_lr",
            message="lower the peak learning rate or clip gradients harder, and look at the "
            "batches at these steps",
            rationale="Spikes that come back cost little; spikes that grow or come more often "
            "announce a divergence.",
            confidence=0.4,
            scope="optimizer.lr",
            source="PaLM (arXiv 2204.02311, section 5.1: the same batches did not spike from "
            "another checkpoint); QLoRA (arXiv 2305.14314: clipping at 0.3); ZClip (2504.02507)",
            refuted_by="The same data order at half the rate: the spikes come at the same steps.",
        ),
        "no_learning": Advice(
            action="possible_underfitting",
            message="check that labels are not masked away and that the adapter's modules get "
            "gradients, then raise the learning rate to about ten times that of full fine-tuning",
            rationale="A loss that stays where it began is a step that does not reach the weights, "
            "or a rate too small for LoRA.",
            confidence=0.5,
            scope="run",
            source="Axolotl's training stability guide (a plateau: rate x 2 to 5, masking); TRL's "
            "guide LoRA Without Regret",
            refuted_by="A hundred steps on eight examples: if the loss falls there, the step works "
            "and the task or the rate is what is hard.",
        ),
        "zero_loss": Advice(
            action="check_labels",
            message="print one batch: labels that are not -100, attention mask, precision; a "
            "loss of exactly zero trains nothing",
            rationale="Reported cases were masked labels, 4-bit or fp16 overflow, and a template "
            "that left no answer tokens.",
            confidence=0.7,
            scope="data",
            source="huggingface/trl#618; hiyouga/LLaMA-Factory#3353 and #8004",
            refuted_by="A batch of the run has labels other than -100 and a loss above zero when "
            "the model is called on it directly.",
        ),
        "near_zero_train_loss": Advice(
            action="memorization_detected",
            message="evaluate on data the run has not seen; if that is worse, stop earlier, train "
            "on more data, or lower alpha or the rank",
            rationale="A supervised loss near zero means the training set is known by heart, or "
            "that the answer stands in the prompt.",
            confidence=0.4,
            scope="run",
            source="Unsloth's guide: below 0.2 likely overfitting (its other page calls 0.5 to 1 "
            "good, so this is a hint)",
            refuted_by="The held-out metric at the last checkpoint is no worse than at the one "
            "where the training loss was ten times higher.",
        ),
        "overfitting": Advice(
            action="memorization_detected",
            message="next time stop at the best evaluation (load_best_model_at_end, "
            "EarlyStoppingCallback), train on more data, or lower the rank, alpha or the rate",
            rationale="Held-out loss has risen for good while the training loss went on falling.",
            confidence=0.7,
            scope="run",
            source="inferred from what the two losses measure; Unsloth's guide names the same sign",
            refuted_by="The task's own held-out metric at the last checkpoint is no worse than at "
            "the best evaluation (accuracy may rise while the loss does).",
        ),
        "unstable_eval": Advice(
            action="consider_lower_lr",
            message="evaluate on more examples or with a fixed seed, and compare checkpoints by "
            "more than one evaluation; if the swings stay, lower the learning rate",
            rationale="An evaluation that swings without trend cannot choose a checkpoint.",
            confidence=0.4,
            scope="optimizer.lr",
            source="inferred",
            refuted_by="Two evaluations of one checkpoint differ as much as two checkpoints do: "
            "then it is the evaluation that is noisy, not the run.",
        ),
        "lr_discontinuity": Advice(
            action="check_resume",
            message="compare the scheduler's state before and after: a resume without it starts "
            "the schedule again, and two runs in one log cannot be read as one",
            rationale="The logged rate or step jumps where its schedule does not.",
            confidence=0.6,
            scope="run",
            source="inferred from the schedules of the transformers package",
            refuted_by="The schedule was meant to restart there.",
        ),
        "extreme_lr": Advice(
            action="lower_lr",
            message="train at 1e-4 to 2e-4, where published LoRA recipes start",
            rationale="No published LoRA recipe comes near such a rate.",
            confidence=0.8,
            scope="optimizer.lr",
            source="Biderman et al. 2024 (arXiv 2405.09673): best rates lie between 5e-5 and 5e-4",
            refuted_by="Twenty steps at this rate: the loss falls and stays down.",
        ),
        "nonfinite_loss": Advice(
            action="prefer_bf16",
            message="look at the batches at these steps (one without a label has no mean loss) and "
            "train in bf16 rather than fp16; where the loss stayed NaN, go back to a checkpoint "
            "before the first of them",
            rationale="fp16 has turned runs into NaN that bf16 trained without a change.",
            confidence=0.5,
            scope="training.dtype",
            source="Lightning-AI/lit-llama#294; huggingface/peft#1522",
            refuted_by="The same batches give NaN in float32 too: then it is the data or the rate.",
        ),
        "grad_norm_outlier": Advice(
            action="set_max_grad_norm",
            message="clip gradients (max_grad_norm 0.3 to 1) and look at the batches at these "
            "steps",
            rationale="One bad batch without clipping can cost the run.",
            confidence=0.4,
            scope="training.max_grad_norm",
            source="QLoRA (arXiv 2305.14314: 0.3); unslothai/unsloth#5207 (isolated norms of "
            "11,000 with a normal loss)",
            refuted_by="The loss does not move at or after these steps: clipping caught them.",
        ),
    }
)
"""Alert code → what to try."""


def advice_on(alerts: Iterable[MonitorAlert]) -> Iterator[Recommendation]:
    """The advice on alerts, one for each action.

    Args:
        alerts: Most severe first.

    Yields:
        A recommendation for each alert that is severe enough and has advice; where two have the
        same action, that of the more severe one.
    """
    given: set[str] = set()
    for alert in alerts:
        advice = ADVICE.get(alert.code)
        if advice is None or advice.action in given:
            continue
        if not alert.severity.at_least(advice.at_least):
            continue
        given.add(advice.action)
        yield Recommendation(
            severity=min(alert.severity, Severity.WARNING, key=lambda level: level.order),
            action=advice.action,
            message=advice.message,
            rationale=advice.rationale,
            confidence=advice.confidence,
            scope=advice.scope,
            evidence={
                "alert": alert.code,
                "first_step": alert.first_step,
                "last_step": alert.last_step,
                "source": advice.source,
            },
            refuted_by=advice.refuted_by,
        )
