"""Builds events from whatever a trainer hands over; time and ids come in as arguments."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypedDict, TypeVar

import attrs
import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import TelemetryError
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    Alert,
    Eval,
    Metrics,
    Recommendation,
    RecommendationEvent,
    RunEnd,
    RunStart,
    RunStatus,
    TrainStep,
)
from gradience.core.telemetry.payload import plain_mapping, plain_value, small_vector
from gradience.core.telemetry.secrets import redact_secrets
from gradience.core.telemetry.text_policy import TextPolicy

MAX_STEP = 2**63 - 1
"""Largest step, so that it fits an integer column; the smallest is ``-MAX_STEP - 1``."""

_Extras = Mapping[str, object]

_Word = TypeVar("_Word", bound=Enum)


class _Envelope(TypedDict):
    """What the constructors of all events take."""

    schema: str
    ts: float
    run_id: str
    step: int | None
    extras: _Extras


@attrs.frozen(kw_only=True)
class EventBuilder:
    """Makes events of one run, every value plain JSON data under the text policy.

    Each method takes ``ts`` (Unix seconds) and ``step`` first and the extra top-level keys last,
    and raises TelemetryError where an argument is not of the kind that the contract names.
    """

    run_id: str = attrs.field(converter=redact_secrets)
    policy: TextPolicy = TextPolicy()

    def run_start(
        self,
        ts: float,
        step: int | None,
        config: ConfigSnapshot | Mapping[str, object],
        meta: Mapping[str, object],
        extras: _Extras,
    ) -> RunStart:
        """A ``run_start`` event.

        Raises:
            TelemetryError: ``config`` is a mapping that does not fit a ConfigSnapshot.
        """
        raw = plain_value(config, self.policy, "config")
        try:
            snapshot = msgspec.convert(raw, ConfigSnapshot)
        except msgspec.ValidationError as error:
            raise TelemetryError(
                f"run_start config: expected a ConfigSnapshot, found a mapping that does not "
                f"fit: {error}. Put keys of your own under 'extras'."
            ) from error
        return RunStart(
            **self._envelope(ts, step, extras),
            config=snapshot,
            meta=self._mapping(meta, "meta"),
        )

    def train_step(
        self,
        ts: float,
        step: int | None,
        *,
        loss: object,
        lr: object,
        grad_norm: object,
        epoch: object,
        extras: _Extras,
    ) -> TrainStep:
        """A ``train_step`` event; a hot value that is no number moves to the extras."""
        if (
            type(step) is int
            and -MAX_STEP - 1 <= step <= MAX_STEP
            and (loss is None or type(loss) is float)
            and (lr is None or type(lr) is float)
            and (grad_norm is None or type(grad_norm) is float)
            and (epoch is None or type(epoch) is float)
        ):
            return TrainStep(
                schema=TELEMETRY_SCHEMA_VERSION,
                ts=ts,
                run_id=self.run_id,
                step=step,
                extras=plain_mapping(extras, self.policy) if extras else extras,
                loss=loss,
                lr=lr,
                grad_norm=grad_norm,
                epoch=epoch,
            )
        hot, odd = _hot_numbers(
            {"loss": loss, "lr": lr, "grad_norm": grad_norm, "epoch": epoch}, self.policy
        )
        return TrainStep(
            **self._envelope(ts, step, {**extras, **odd}),
            loss=real_number(hot.get("loss")),
            lr=_rates(hot.get("lr")),
            grad_norm=real_number(hot.get("grad_norm")),
            epoch=real_number(hot.get("epoch")),
        )

    def eval(
        self, ts: float, step: int | None, split: str, metrics: _Extras, extras: _Extras
    ) -> Eval:
        """An ``eval`` event."""
        return Eval(
            **self._envelope(ts, step, extras),
            split=self._text(split, "split"),
            metrics=self._mapping(metrics, "metrics"),
        )

    def metrics(
        self, ts: float, step: int | None, kind: str, metrics: _Extras, extras: _Extras
    ) -> Metrics:
        """A ``metrics`` event."""
        return Metrics(
            **self._envelope(ts, step, extras),
            kind=self._text(kind, "kind"),
            metrics=self._mapping(metrics, "metrics"),
        )

    def alert(
        self,
        ts: float,
        step: int | None,
        *,
        severity: Severity | str,
        code: str,
        message: str,
        context: _Extras,
        extras: _Extras,
    ) -> Alert:
        """An ``alert`` event."""
        return Alert(
            **self._envelope(ts, step, extras),
            severity=_word(Severity, severity, "severity"),
            code=self._text(code, "code"),
            message=self._text(message, "message"),
            context=self._mapping(context, "context"),
        )

    def recommendation(
        self, ts: float, step: int | None, items: Sequence[Recommendation], extras: _Extras
    ) -> RecommendationEvent:
        """A ``recommendation`` event."""
        plain = plain_value(items, self.policy, "recommendations")
        try:
            recommendations = msgspec.convert(plain, tuple[Recommendation, ...])
        except msgspec.ValidationError as error:
            raise TelemetryError(
                f"recommendations: expected a sequence of Recommendation, found what does not "
                f"fit: {error}"
            ) from error
        return RecommendationEvent(
            **self._envelope(ts, step, extras), recommendations=recommendations
        )

    def run_end(
        self,
        ts: float,
        step: int | None,
        status: RunStatus | str,
        reason: str | None,
        extras: _Extras,
    ) -> RunEnd:
        """A ``run_end`` event."""
        return RunEnd(
            **self._envelope(ts, step, extras),
            status=_word(RunStatus, status, "status"),
            reason=None if reason is None else self._text(reason, "reason"),
        )

    def _envelope(self, ts: float, step: object, extras: _Extras) -> _Envelope:
        return {
            "schema": TELEMETRY_SCHEMA_VERSION,
            "ts": ts,
            "run_id": self.run_id,
            "step": _step_number(step, self.policy),
            "extras": plain_mapping(extras, self.policy) if extras else {},
        }

    def _text(self, text: object, path: str) -> str:
        plain = plain_value(text, self.policy, path) if isinstance(text, str | Enum) else None
        if not isinstance(plain, str):
            raise TelemetryError(f"{path}: expected a string, found {type(text).__name__}")
        return plain

    def _mapping(self, values: object, path: str) -> dict[str, object]:
        if not isinstance(values, Mapping):
            raise TelemetryError(f"{path}: expected a mapping, found {type(values).__name__}")
        return plain_mapping(values, self.policy, path)


def _word(kind: type[_Word], value: object, name: str) -> _Word:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        found = repr(value) if isinstance(value, str) else type(value).__name__
        raise TelemetryError(f"{name}: expected one of {allowed}, found {found}") from None


def _step_number(step: object, policy: TextPolicy) -> int | None:
    """The step as Python's integer; whole floats, NumPy's and one-element tensors are fine."""
    if step is None:
        return None
    plain = step if type(step) is int else plain_value(step, policy, "step")
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    if isinstance(plain, int) and -MAX_STEP - 1 <= plain <= MAX_STEP:
        return int(plain)
    number = real_number(plain)
    found = type(step).__name__ + ("" if number is None else f" {number:g}")
    raise TelemetryError(f"step: expected an integer of 64 bits or None, found {found}")


def _hot_numbers(
    values: Mapping[str, object], policy: TextPolicy
) -> tuple[dict[str, object], dict[str, object]]:
    """The values that are numbers (or lists of numbers, for ``lr``), and the others."""
    hot: dict[str, object] = {}
    odd: dict[str, object] = {}
    for name, value in values.items():
        if value is None:
            continue
        plain = value if type(value) is float else _plain_number(name, value, policy)
        fits = real_number(plain) is not None or (name == "lr" and _rates(plain) is not None)
        (hot if fits else odd)[name] = plain
    return hot, odd


def _plain_number(name: str, value: object, policy: TextPolicy) -> object:
    given = small_vector(value) if name == "lr" else value
    return plain_value(given, policy, name)


def _rates(value: object) -> float | tuple[float, ...] | None:
    if isinstance(value, list):
        numbers = [number for item in value if (number := real_number(item)) is not None]
        return tuple(numbers) if len(numbers) == len(value) else None
    return real_number(value)
