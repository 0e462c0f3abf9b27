"""What an audit's JSON tells of single modules: this version's report or the original's files."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

import attrs
import msgspec

from gradience.core.adapter.peft_layout import base_module_name
from gradience.core.errors import ConfigError
from gradience.core.numbers import real_number
from gradience.core.ranks.disagreement import ModulePolicies, PolicyTable

MAX_KEYS_SHOWN = 8
"""Keys of a file that a message lists."""

REMEDY = "Audit with --layers --rank-policies all --json."

_FAILED: Mapping[str, str] = {
    "insufficient_spread": "the policies lie close together",
    "below_uniform_mult_threshold": "below the multiple of a uniform share",
    "below_quantile_threshold": "below the quantile of importance",
    "flat": "importance is spread evenly over the layers",
}
"""The original's words for why a layer is not flagged."""

_T = TypeVar("_T")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a layer row; older files lack some of it."""

    name: str
    r: int
    status: str = "ok"
    params: int = 0
    expert: int | str | None = None
    stable_rank: float | None = None
    effective_rank: float | None = None
    utilization: float | None = None
    energy_rank_90: float | None = None
    energy_rank_95: float | None = None
    energy_rank_99: float | None = None
    delta_sigma_max: float | None = None
    delta_fro_norm: float | None = None
    sigma_max_scaled: float | None = None
    """The original's older name of ``delta_sigma_max``."""
    frob_norm_scaled: float | None = None
    """The original's older name of ``delta_fro_norm``."""
    udr: float | None = None
    stable_rank_null: float | None = None
    effective_rank_null: float | None = None
    energy_rank_90_null: float | None = None
    utilization_null: float | None = None
    stable_rank_z: float | None = None
    effective_rank_z: float | None = None
    utilization_vs_null: float | None = None

    @property
    def measured(self) -> bool:
        """Whether the module has a spectrum: an untrained or unreadable one has none."""
        return self.status == "ok"

    @property
    def update_norm(self) -> float | None:
        """‖ΔW‖_F, scaled."""
        return self.frob_norm_scaled if self.delta_fro_norm is None else self.delta_fro_norm

    @property
    def update_sigma_max(self) -> float | None:
        """‖ΔW‖₂, scaled."""
        return self.sigma_max_scaled if self.delta_sigma_max is None else self.delta_sigma_max


@attrs.frozen(kw_only=True)
class AuditEvidence:
    """A file's modules, by their names in the base model."""

    rows: Mapping[str, AuditRow]
    verdicts: Mapping[str, ModulePolicies]
    """The policies' ranks, where the file has them."""
    suggestions: Mapping[str, int]
    """Suggested ranks, where the file has them."""
    importance_metric: str = "energy_share"
    caveats: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every module that the file tells something of."""
        return tuple(dict.fromkeys([*self.rows, *self.verdicts, *self.suggestions]))


def audit_evidence(audit: Mapping[str, object]) -> AuditEvidence:
    """Reads an audit's JSON.

    Args:
        audit: This version's report (``layer_data``, ``rank_policies``, ``rank_suggestions``), or
            a file of the original tool (``layers``, ``per_layer_suggestions``,
            ``policy_disagreement_analysis``).

    Returns:
        What is there of single modules.

    Raises:
        ConfigError: There is nothing of single modules, or it does not read.
    """
    table = _policy_table(audit)
    verdicts = _named(table.modules) if table else _original_verdicts(audit)
    found = AuditEvidence(
        rows=_named(_rows(audit)),
        verdicts=verdicts,
        suggestions=_suggestions(audit),
        importance_metric=table.importance_metric if table else "energy_share",
        caveats=table.caveats if table else (),
    )
    if not found.names:
        keys = ", ".join(list(audit)[:MAX_KEYS_SHOWN]) or "nothing"
        raise ConfigError(
            "audit JSON: expected layer_data with layer_rows, rank_policies or "
            f"policy_disagreement_analysis, found {keys}. {REMEDY}"
        )
    return found


def _named(items: Iterable[_N]) -> dict[str, _N]:
    return {base_module_name(item.name): item for item in items}


def _rows(audit: Mapping[str, object]) -> list[AuditRow]:
    rows = _inner(audit, "layer_data").get("layer_rows") or audit.get("layers") or []
    return _convert(rows, list[AuditRow], "layer rows")


def _policy_table(audit: Mapping[str, object]) -> PolicyTable | None:
    table = audit.get("rank_policies")
    return None if table is None else _convert(table, PolicyTable, "rank_policies")


def _suggestions(audit: Mapping[str, object]) -> dict[str, int]:
    section = _inner(audit, "rank_suggestions") or _inner(audit, "per_layer_suggestions")
    return {
        base_module_name(str(layer.get("name"))): int(rank)
        for layer in _dicts(section.get("layers"))
        if (rank := real_number(layer.get("suggested_r"))) is not None
    }


def _original_verdicts(audit: Mapping[str, object]) -> dict[str, ModulePolicies]:
    section = _inner(audit, "policy_disagreement_analysis")
    layers = [
        *_dicts(section.get("all_layers_with_disagreement")),
        *_dicts(section.get("flagged_layers")),
    ]
    return _named(
        _original_verdict(str(layer.get("layer_name")), _inner(layer, "flagging_rationale"))
        for layer in layers
    )


def _original_verdict(name: str, rationale: Mapping[str, object]) -> ModulePolicies:
    labels, ranks = _texts(rationale.get("policies")), _numbers(rationale.get("k_values"))
    failed = _failed(rationale)
    numbers = {
        key: real_number(rationale.get(key)) or 0.0
        for key in ("spread", "spread_threshold", "importance_share", "uniform_mult")
    }
    disagree = rationale.get("meets_spread_threshold", "insufficient_spread" not in failed)
    return ModulePolicies(
        name=name,
        k_by_policy={label: int(k) for label, k in zip(labels, ranks, strict=False)},
        spread=int(numbers["spread"]),
        spread_threshold=numbers["spread_threshold"],
        disagree=disagree is True,
        importance_share=numbers["importance_share"],
        uniform_mult=numbers["uniform_mult"],
        priority_score=real_number(rationale.get("priority_score")) or 0.0,
        flagged=rationale.get("flagged_as_high_impact") is True,
        reasons=tuple(_FAILED.get(reason, reason) for reason in failed),
    )


def _failed(rationale: Mapping[str, object]) -> list[str]:
    """The original's reasons, told by their names or by the gates that were not met."""
    told = _texts(rationale.get("failed_reasons"))
    gates = {
        "below_uniform_mult_threshold": rationale.get("meets_uniform_mult_threshold") is False,
        "below_quantile_threshold": rationale.get("meets_quantile_threshold") is False,
        "flat": rationale.get("is_flat_distribution") is True,
    }
    return list(dict.fromkeys([*told, *(name for name, failed in gates.items() if failed)]))


def _convert(value: object, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"audit JSON: {what} do not read: {error}. {REMEDY}") from error


def _inner(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _dicts(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _numbers(value: object) -> list[float]:
    found = [real_number(item) for item in value] if isinstance(value, list) else []
    return [number for number in found if number is not None]
