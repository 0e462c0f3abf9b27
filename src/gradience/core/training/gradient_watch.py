"""What the gradients and weights of each optimizer step say: a fold over steps.

A pure, deterministic function of what was seen: :func:`observe` takes a state and a step, and gives
the next state and the alerts that are due at once; :func:`logged_fields` turns what was gathered
into the fields of a log.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs
import msgspec

from gradience.core.severity import Severity

NONFINITE_GRADIENTS, NONFINITE_PARAMETERS = "nonfinite_gradients", "nonfinite_parameters"
"""Codes of the alerts."""

PRE_CLIP_NORM, LOCAL_NORM = "grad_norm_preclip", "grad_norm_local"
"""Fields of a log: the norm before clipping over all trainable parameters; or, where they are
sharded, that of this process's part as the optimizer is given it."""


@attrs.frozen(kw_only=True)
class WatchPolicy:
    """When something is said, and how much."""

    scaler_streak: int = 17
    """Steps in a row that a loss scaler may skip before that is a warning: its first factor is
    65536 and each skipped step halves it (source: the defaults of ``torch.amp.GradScaler``), so
    after 16 of them nothing is left to scale down."""
    names_shown: int = 5
    """Modules named in one alert (inferred: enough to tell one layer from all)."""
    max_alerts: int = 100
    """Alerts of one code in a run; later streaks are only counted in the logs (inferred: a run in
    which every other batch is bad would otherwise write thousands)."""


class Magnitudes(NamedTuple):
    """One number for each of some parameters, and the module that each belongs to."""

    modules: Sequence[str] = ()
    values: Sequence[float] = ()

    def nonfinite(self) -> tuple[str, ...]:
        """Modules with a value that is not finite, each once, in order."""
        pairs = zip(self.modules, self.values, strict=True)
        return tuple(dict.fromkeys(name for name, value in pairs if not math.isfinite(value)))


@attrs.frozen(kw_only=True)
class StepSight:
    """What was seen at one optimizer step."""

    step: int
    grads: Magnitudes = Magnitudes()
    """Norms of the gradients of the trainable parameters that have one, still multiplied by
    ``loss_scale`` where there is one."""
    weights: Magnitudes = Magnitudes()
    """Norms of the trainable parameters after the step."""
    loss_scale: float | None = None
    """The factor of an enabled AMP loss scaler at this step's gradients."""


@attrs.frozen(kw_only=True)
class WatchState:
    """The run so far, and what was gathered since the last log."""

    steps: int = 0
    """Steps seen since the last log."""
    last_norm: float | None = None
    """Gradient norm of the latest of them that had finite gradients."""
    largest_norm: float | None = None
    """The largest finite gradient norm of them."""
    bad_grad_steps: int = 0
    bad_weight_steps: int = 0
    grad_streak: int = 0
    """Steps in a row with non-finite gradients, the latest included."""
    weight_streak: int = 0
    n_grad_alerts: int = 0
    n_weight_alerts: int = 0


class WatchAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert about a step."""

    severity: Severity
    code: str
    message: str
    context: Mapping[str, object]


class Observed(NamedTuple):
    """The state after a step, and the alerts that are due."""

    state: WatchState
    alerts: tuple[WatchAlert, ...]


def gradient_norm(sight: StepSight) -> float | None:
    """‖g‖₂ over all parameters, unscaled: √(Σ‖gᵢ‖²) / s; None where no gradient was seen."""
    if not sight.grads.values:
        return None
    return math.hypot(*sight.grads.values) / (sight.loss_scale or 1.0)


def observe(state: WatchState, sight: StepSight, policy: WatchPolicy | None = None) -> Observed:
    """Adds a step.

    A tensor counts as non-finite where its L2 norm is not finite: it holds NaN or an infinity, or
    (in float32) entries beyond some 1e19, whose squares overflow. Alerts come at the first step of
    each streak of bad steps; a streak of steps that a loss scaler skips, which is an info at first,
    gets a warning when it grows longer than scaling explains.

    Args:
        state: The run so far.
        sight: What was seen.
        policy: The limits.

    Returns:
        The next state, and the alerts that are due now.
    """
    policy = policy or WatchPolicy()
    bad_grads, bad_weights = sight.grads.nonfinite(), sight.weights.nonfinite()
    norm = gradient_norm(sight)
    after = attrs.evolve(
        state,
        steps=state.steps + 1,
        bad_grad_steps=state.bad_grad_steps + bool(bad_grads),
        bad_weight_steps=state.bad_weight_steps + bool(bad_weights),
        grad_streak=state.grad_streak + 1 if bad_grads else 0,
        weight_streak=state.weight_streak + 1 if bad_weights else 0,
    )
    if norm is not None and math.isfinite(norm):
        largest = norm if state.largest_norm is None else max(state.largest_norm, norm)
        after = attrs.evolve(after, last_norm=norm, largest_norm=largest)
    alerts: tuple[WatchAlert, ...] = ()
    if _gradients_due(after, sight, policy):
        after = attrs.evolve(after, n_grad_alerts=after.n_grad_alerts + 1)
        alerts = (_gradient_alert(after, sight, bad_grads, policy),)
    if after.weight_streak == 1 and after.n_weight_alerts < policy.max_alerts:
        after = attrs.evolve(after, n_weight_alerts=after.n_weight_alerts + 1)
        alerts = (*alerts, _weight_alert(after, sight, bad_weights, policy))
    return Observed(after, alerts)


def logged_fields(state: WatchState, norm_field: str = PRE_CLIP_NORM) -> dict[str, object]:
    """What was gathered since the last log, as fields of its ``train_step``.

    Args:
        state: The state.
        norm_field: Name of the gradient norm; its maximum gets ``_max`` behind it.

    Returns:
        The norms (left out where no step had finite gradients) and, zero or not, the counts of
        steps with non-finite gradients and parameters; nothing where no step was seen.
    """
    if not state.steps:
        return {}
    counts: dict[str, object] = {
        "nonfinite_grad_steps": state.bad_grad_steps,
        "nonfinite_param_steps": state.bad_weight_steps,
    }
    if state.last_norm is None:
        return counts
    return {norm_field: state.last_norm, f"{norm_field}_max": state.largest_norm, **counts}


def after_log(state: WatchState) -> WatchState:
    """The state without what was gathered for the log; streaks go on."""
    return attrs.evolve(
        state,
        steps=0,
        last_norm=None,
        largest_norm=None,
        bad_grad_steps=0,
        bad_weight_steps=0,
    )


def _gradients_due(state: WatchState, sight: StepSight, policy: WatchPolicy) -> bool:
    if state.n_grad_alerts >= policy.max_alerts:
        return False
    beyond_scaling = sight.loss_scale is not None and state.grad_streak == policy.scaler_streak
    return state.grad_streak == 1 or beyond_scaling


def _gradient_alert(
    state: WatchState, sight: StepSight, modules: tuple[str, ...], policy: WatchPolicy
) -> WatchAlert:
    seen = f"step {sight.step}: NaN or infinite gradients in {_counted(modules)}"
    context = _context(sight.step, state.grad_streak, modules, policy)
    if sight.loss_scale is None:
        severity = Severity.WARNING
        message = (
            f"{seen}. Look at this batch, the learning rate and the precision; the logged loss "
            "may not show it (logging_nan_inf_filter)"
        )
    elif state.grad_streak < policy.scaler_streak:
        severity = Severity.INFO
        message = f"{seen}; the loss scaler skips the step and lowers its factor, as it should"
    else:
        severity = Severity.WARNING
        message = (
            f"{seen}, {state.grad_streak} steps in a row: more than the loss scaler's factor "
            "explains. Nothing is learned; look at the data and the weights, or train in bf16"
        )
    if sight.loss_scale is not None:
        context["loss_scale"] = sight.loss_scale
    return WatchAlert(severity=severity, code=NONFINITE_GRADIENTS, message=message, context=context)


def _weight_alert(
    state: WatchState, sight: StepSight, modules: tuple[str, ...], policy: WatchPolicy
) -> WatchAlert:
    message = (
        f"after step {sight.step}: NaN or infinite weights in {_counted(modules)}. "
        "Training cannot mend them: stop, and go back to the last checkpoint with finite weights"
    )
    return WatchAlert(
        severity=Severity.ERROR,
        code=NONFINITE_PARAMETERS,
        message=message,
        context=_context(sight.step, state.weight_streak, modules, policy),
    )


def _counted(modules: tuple[str, ...]) -> str:
    """How many; their names stand in the context, since telemetry keeps no long text."""
    return f"{len(modules)} module" + ("" if len(modules) == 1 else "s")


def _context(
    step: int, count: int, modules: tuple[str, ...], policy: WatchPolicy
) -> dict[str, object]:
    """``count`` is the length of the streak so far."""
    shown = list(modules[: policy.names_shown])
    return {"step": step, "count": count, "n_modules": len(modules), "modules": shown}
