"""Builds events from whatever a trainer hands over; time and ids come in as arguments."""

from collections.abc import Mapping, Sequence

import attrs
import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import TelemetryError
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
from gradience.core.telemetry.payload import TextPolicy, plain_mapping, plain_value

_Extras = Mapping[str, object]


@attrs.frozen(kw_only=True)
class EventBuilder:
    """Makes events of one run, every value plain JSON data under the text policy.

    Each method takes ``ts`` (Unix seconds) and ``step`` first and the extra top-level keys last.
    """

    run_id: str
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
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            config=snapshot,
            meta=plain_mapping(meta, self.policy, "meta"),
            extras=plain_mapping(extras, self.policy),
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
        hot, odd = _hot_numbers(
            {"loss": loss, "lr": lr, "grad_norm": grad_norm, "epoch": epoch}, self.policy
        )
        return TrainStep(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            loss=_number(hot.get("loss")),
            lr=_rates(hot.get("lr")),
            grad_norm=_number(hot.get("grad_norm")),
            epoch=_number(hot.get("epoch")),
            extras=plain_mapping({**extras, **odd}, self.policy) if extras or odd else {},
        )

    def eval(
        self, ts: float, step: int | None, split: str, metrics: _Extras, extras: _Extras
    ) -> Eval:
        """An ``eval`` event."""
        return Eval(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            split=self._text(split, "split"),
            metrics=plain_mapping(metrics, self.policy, "metrics"),
            extras=plain_mapping(extras, self.policy),
        )

    def metrics(
        self, ts: float, step: int | None, kind: str, metrics: _Extras, extras: _Extras
    ) -> Metrics:
        """A ``metrics`` event."""
        return Metrics(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            kind=self._text(kind, "kind"),
            metrics=plain_mapping(metrics, self.policy, "metrics"),
            extras=plain_mapping(extras, self.policy),
        )

    def alert(
        self,
        ts: float,
        step: int | None,
        *,
        severity: Severity,
        code: str,
        message: str,
        context: _Extras,
        extras: _Extras,
    ) -> Alert:
        """An ``alert`` event."""
        return Alert(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            severity=severity,
            code=self._text(code, "code"),
            message=self._text(message, "message"),
            context=plain_mapping(context, self.policy, "context"),
            extras=plain_mapping(extras, self.policy),
        )

    def recommendation(
        self, ts: float, step: int | None, items: Sequence[Recommendation], extras: _Extras
    ) -> RecommendationEvent:
        """A ``recommendation`` event."""
        plain = plain_value(items, self.policy, "recommendations")
        return RecommendationEvent(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            recommendations=msgspec.convert(plain, tuple[Recommendation, ...]),
            extras=plain_mapping(extras, self.policy),
        )

    def run_end(
        self,
        ts: float,
        step: int | None,
        status: RunStatus,
        reason: str | None,
        extras: _Extras,
    ) -> RunEnd:
        """A ``run_end`` event."""
        return RunEnd(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=self.run_id,
            step=step,
            status=status,
            reason=None if reason is None else self._text(reason, "reason"),
            extras=plain_mapping(extras, self.policy),
        )

    def _text(self, text: str, path: str) -> str:
        return str(plain_value(text, self.policy, path))


def _hot_numbers(
    values: Mapping[str, object], policy: TextPolicy
) -> tuple[dict[str, object], dict[str, object]]:
    """The values that are numbers (or lists of numbers, for ``lr``), and the others."""
    hot: dict[str, object] = {}
    odd: dict[str, object] = {}
    for name, value in values.items():
        if value is None:
            continue
        plain = value if type(value) is float else plain_value(value, policy, name)
        fits = _number(plain) is not None or (name == "lr" and _rates(plain) is not None)
        (hot if fits else odd)[name] = plain
    return hot, odd


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _rates(value: object) -> float | tuple[float, ...] | None:
    if isinstance(value, list):
        numbers = [number for item in value if (number := _number(item)) is not None]
        return tuple(numbers) if len(numbers) == len(value) else None
    return _number(value)
