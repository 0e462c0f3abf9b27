"""The frozen structs of the audit's result; ``--json`` prints them as they are."""

import re
from collections.abc import Mapping
from enum import Enum

import msgspec

from gradience.core.dominance.gain import Composition, Gain, GlobalGain, LayerGain, ModuleGain
from gradience.core.dominance.intruder_result import IntruderResult
from gradience.core.ranks.budget import BudgetPlan
from gradience.core.ranks.disagreement import PolicyTable
from gradience.core.ranks.plans import RankPlans
from gradience.core.ranks.suggest import GlobalSuggestion, LayerSuggestion, RankSuggestions
from gradience.core.severity import Severity

__all__ = [
    "AuditReport",
    "Finding",
    "LayerData",
    "LayerRow",
    "ModuleStatus",
    "TypeSummary",
]


PATH_KEYS = frozenset({"peft_dir", "adapter_config_path", "adapter_weights_path", "base_model"})
"""Keys of the report that hold local paths, which telemetry does not keep."""


LOCAL_CODES = frozenset({"norm_cache_damaged", "norms_not_kept"})
"""Findings about a file of this machine, which their messages name with its path."""


def _public(path: object) -> object:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] if isinstance(path, str) else path


class ModuleStatus(Enum):
    """Whether a module has a spectrum, and why not."""

    OK = "ok"
    UNTRAINED = "untrained"
    """lora_B (or lora_A) is exactly zero: the module does nothing."""
    NONFINITE = "nonfinite"
    PRUNED = "pruned"
    """AdaLoRA took every direction away."""
    UNREADABLE = "unreadable"
    """The shapes or the dtype of the factors do not make an update."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the adapter that a person should know, with what to do."""

    severity: Severity
    code: str
    message: str
    remedy: str = ""
    modules: tuple[str, ...] = ()


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One audited update. Quantities of an update without a spectrum are None."""

    name: str
    """The module's name; of an expert, with its number in brackets."""
    module: str
    """The module's name in the base model, as PEFT's patterns match it."""
    expert: int | None = None
    """Number of the expert, where a module has an update for each."""
    module_type: str
    layer: int | None
    layer_name: str | None
    status: ModuleStatus
    r: int
    alpha: float
    scale: float
    """s of ΔW = s·B·A: α/r, or α/√r with rsLoRA."""
    a_key: str
    b_key: str
    a_shape: tuple[int, ...]
    """(r, d_in), however it is stored."""
    b_shape: tuple[int, ...]
    """(d_out, r)."""
    params: int
    stable_rank: float | None = None
    effective_rank: float | None = None
    utilization: float | None = None
    """Stable rank / r. Below 1 even for pure noise: compare with ``utilization_null``."""
    sigma_max: float | None = None
    """σ₁ of B·A, unscaled."""
    frob_sq: float | None = None
    """‖B·A‖_F², unscaled."""
    energy_rank_90: int | None = None
    energy_rank_95: int | None = None
    energy_rank_99: int | None = None
    stable_rank_null: float | None = None
    """The same quantity of a random B·A of this shape and rank (its mean)."""
    effective_rank_null: float | None = None
    energy_rank_90_null: float | None = None
    utilization_null: float | None = None
    stable_rank_z: float | None = None
    """How far the module stands out from the null, in its standard deviations; None at r = 1."""
    effective_rank_z: float | None = None
    utilization_vs_null: float | None = None
    """Stable rank over the null's: 1 is noise."""
    delta_sigma_max: float | None = None
    """‖ΔW‖₂, scaled."""
    delta_fro_norm: float | None = None
    """‖ΔW‖_F, scaled."""
    base_sigma_max: float | None = None
    base_fro_norm: float | None = None
    udr: float | None = None
    udr_f: float | None = None
    sdi: float | None = None
    intruders: IntruderResult | None = None
    """New directions among the leading ones of W + ΔW, where they were looked for."""
    top_singular_values: tuple[float, ...] = ()
    """The largest singular values of ΔW, scaled."""


class TypeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The summary over the modules of one type."""

    n_layers: int
    params: int
    stable_rank_mean: float | None
    utilization_mean: float | None
    energy_rank_90_p50: float | None
    energy_rank_90_p90: float | None
    stable_rank_null_mean: float | None = None
    """Of random updates of these shapes and ranks."""


class NullSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the modules with a spectrum, of what noise of their shapes would give."""

    method: str
    """What the null is, and its error."""
    stable_rank_mean: float
    effective_rank_mean: float
    utilization_mean: float
    energy_rank_90_mean: float
    utilization_vs_null_mean: float
    """Stable rank over the null's: 1 is noise."""
    n_like_noise: int
    """Modules whose stable and effective rank both lie within ``noise_z`` of the null."""
    noise_z: float


class LayerData(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of ``--layers``."""

    layer_rows: tuple[LayerRow, ...]
    layer_rows_schema: str = "v1"


class BudgetSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """Ranks for a budget, in the form that ``peft.LoraConfig`` takes."""

    plan: BudgetPlan
    default_r: int | None
    rank_pattern: Mapping[str, int]


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the audit found.

    ``n_layers`` counts audited updates (the contract's word for them): one for each module, and
    for each expert of a module that has several. Means and quantiles are over those with a
    spectrum, and None where there is none. Sections that were not asked for are absent.
    """

    peft_dir: str
    adapter_config_path: str | None
    adapter_weights_path: str
    base_model: str | None = None
    layout: str = "PEFT"
    """Whose names the tensors have: PEFT, kohya, diffusers, cloneofsimo or mlx-lm."""
    peft_type: str = "LORA"
    total_lora_params: int
    n_modules: int
    """Modules; where some have experts, fewer than updates."""
    n_layers: int
    n_layers_untrained: int
    stable_rank_mean: float | None
    stable_rank_median: float | None
    stable_rank_weighted_mean: float | None
    """Weighted by the modules' parameters."""
    effective_rank_mean: float | None
    utilization_mean: float | None
    energy_rank_90_p50: float | None
    energy_rank_90_p90: float | None
    suggested_r_global_median: int | None
    suggested_r_global_90: int | None
    by_type: Mapping[str, TypeSummary]
    delta_sigma_max_scaled_mean: float | None
    delta_sigma_max_scaled_p50: float | None
    delta_sigma_max_scaled_p90: float | None
    delta_frob_norm_scaled_mean: float | None
    delta_frob_norm_scaled_p50: float | None
    delta_frob_norm_scaled_p90: float | None
    udr_mean: float | None = None
    udr_median: float | None = None
    udr_p90: float | None = None
    udr_max: float | None = None
    fraction_udr_gt_0_1: float | None = None
    fraction_udr_gt_0_3: float | None = None
    n_layers_with_udr: int = 0
    sdi_mean: float | None = None
    sdi_median: float | None = None
    sdi_p90: float | None = None
    intruders_total: int | None = None
    """Intruder dimensions over all modules, where they were looked for."""
    intruders_undecided: int | None = None
    """Directions that the bounds leave open."""
    n_layers_with_intruders: int | None = None
    gain: Gain
    per_module_gain: tuple[ModuleGain, ...]
    per_layer_gain: tuple[LayerGain, ...]
    global_gain: GlobalGain
    composition: Composition
    global_suggestions: GlobalSuggestion
    rank_plans: RankPlans
    """Per-layer ranks beside uniform ones: what each costs, keeps and makes a server reserve."""
    other_tensors: Mapping[str, int]
    """Tensors that are no LoRA factor, counted by what they are."""
    other_params: Mapping[str, int]
    """Their parameters."""
    training_metadata: Mapping[str, str] = {}
    """What the file's header tells of the training (kohya's ``ss_*`` settings)."""
    null_baseline: NullSummary | None = None
    """The same quantities of random updates of these shapes; None without a spectrum."""
    findings: tuple[Finding, ...]
    issues: tuple[str, ...]
    """The findings at warning and above, as text."""
    layer_data: LayerData | msgspec.UnsetType = msgspec.UNSET
    rank_suggestions: RankSuggestions | msgspec.UnsetType = msgspec.UNSET
    top_wasteful: tuple[LayerSuggestion, ...] | msgspec.UnsetType = msgspec.UNSET
    """The modules whose unused rank costs the most parameters."""
    rank_policies: PolicyTable | msgspec.UnsetType = msgspec.UNSET
    budgets: tuple[BudgetSuggestion, ...] | msgspec.UnsetType = msgspec.UNSET
    """One for each budget that was asked for."""

    def to_summary_dict(
        self, *, include_layers: bool = False, topk_layers: int | None = None
    ) -> dict[str, object]:
        """The report as plain data, non-finite numbers included.

        Args:
            include_layers: Keeps the layer rows, where the audit was asked for them.
            topk_layers: Keeps only the rows with the largest updates.

        Returns:
            The content of the audit's JSON.
        """
        report = self
        if not include_layers:
            report = msgspec.structs.replace(self, layer_data=msgspec.UNSET)
        elif topk_layers is not None and isinstance(self.layer_data, LayerData):
            rows = sorted(self.layer_data.layer_rows, key=lambda row: -(row.delta_fro_norm or 0.0))
            kept = LayerData(layer_rows=tuple(rows[:topk_layers]))
            report = msgspec.structs.replace(self, layer_data=kept)
        built: dict[str, object] = msgspec.to_builtins(report)
        return built

    def summary(self) -> dict[str, object]:
        """What a run's record keeps: no rows and tables, and of each path the last component.

        Issues with a file of this machine, the norm cache, are left out as well.
        """
        tables = {"layer_data", "rank_suggestions", "top_wasteful", "rank_policies", "budgets"}
        per_module = {"per_module_gain", "per_layer_gain", "global_gain", "findings"}
        built: dict[str, object] = msgspec.to_builtins(self)
        kept = {key: value for key, value in built.items() if key not in tables | per_module}
        local = {finding.message for finding in self.findings if finding.code in LOCAL_CODES}
        kept["issues"] = [issue for issue in self.issues if issue not in local]
        return {key: _public(value) if key in PATH_KEYS else value for key, value in kept.items()}

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities of the findings."""
        return tuple(finding.severity for finding in self.findings)
