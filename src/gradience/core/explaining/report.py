"""The frozen structs of one module's explanation; ``--json`` prints them as they are."""

import msgspec


class SpectrumFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The quantities of a module's spectrum."""

    stable_rank: float | None
    effective_rank: float | None
    utilization: float | None
    energy_rank_90: float | None
    energy_rank_95: float | None
    energy_rank_99: float | None
    delta_sigma_max: float | None
    delta_fro_norm: float | None
    udr: float | None
    first_share: float | None
    """σ₁²/Σσ², the reciprocal of the stable rank."""
    reading: str


class NullFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The module beside a random update of its shape and rank."""

    stable_rank_null: float | None
    effective_rank_null: float | None
    energy_rank_90_null: float | None
    utilization_null: float | None
    stable_rank_z: float | None
    effective_rank_z: float | None
    utilization_vs_null: float | None
    reading: str


class PolicyReading(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's rank, and what it measures."""

    policy: str
    k: int
    measures: str


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """Where and why the policies differ."""

    spread: int
    spread_threshold: float | None
    """From which on they count as differing; None where the audit does not tell."""
    disagree: bool
    why: tuple[str, ...]


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """What the module weighs among all, and whether it deserves an experiment first."""

    metric: str
    share: float
    uniform_mult: float
    priority_score: float
    flagged: bool
    reading: str


class LayerRank(msgspec.Struct, frozen=True, kw_only=True):
    """The suggested rank of one module."""

    rank: int
    current: int | None
    source: str


class LayerExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One module explained. What the audit does not tell is None, and named in ``missing``."""

    name: str
    module_type: str
    status: str | None = None
    r: int | None = None
    params: int | None = None
    expert: int | str | None = None
    spectrum: SpectrumFacts | None = None
    null: NullFacts | None = None
    policies: tuple[PolicyReading, ...] = ()
    policies_source: str = ""
    disagreement: Disagreement | None = None
    importance: Importance | None = None
    suggestion: LayerRank | None = None
    experiment: str
    caveats: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
