"""``gradience audit``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from gradience.api import audit
from gradience.cli.app import EXIT_FINDINGS, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.progress import module_progress
from gradience.cli.views.audit import render_audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.errors import GradienceError
from gradience.core.ranks.disagreement import DisagreementPolicy, ImportanceMetric
from gradience.core.ranks.policies import DEFAULT_POLICIES
from gradience.core.severity import FailOn

ALL_POLICIES = "all"

Count = Annotated[int, Parameter(validator=Number(gte=0))]
"""A number of things to show."""


def audit_command(
    peft_dir: str,
    *,
    layers: bool = False,
    top_wasteful: Count = 0,
    suggest_per_layer: bool = False,
    top_singular_values: Count = 0,
    append: Path | None = None,
    base_model: str | None = None,
    base_norms_cache: Path | None = None,
    no_udr: bool = False,
    intruders: bool = False,
    rank_policies: str = "",
    adapter_config: Path | None = None,
    weights: Path | None = None,
    initial_adapter: Path | None = None,
    importance_quantile: float = 0.75,
    importance_uniform_mult_gate: float = 1.5,
    importance_metric: ImportanceMetric = "energy_share",
    exact: bool = False,
    device: str = "cpu",
    fail_on: FailOn = FailOn.ERROR,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Measure what an adapter's weights use of their rank.

    Args:
        peft_dir: The adapter's folder or weight file, or its address (hf://owner/name, s3://…).
        layers: Show every module.
        top_wasteful: Show this many modules whose unused rank costs the most parameters.
        suggest_per_layer: Suggest a rank per module, as a rank_pattern for PEFT.
        top_singular_values: Show this many singular values of each module's update (in the JSON
            with --layers).
        append: Append the summary to this telemetry file.
        base_model: Folder (or id in the local Hub cache) of the base model, for UDR and SDI.
        base_norms_cache: Keep the base weights' norms in this file between audits.
        no_udr: Do not measure against the base model.
        intruders: Look for intruder dimensions: new directions among the leading ones of W + ΔW.
        rank_policies: Rank policies to set side by side, separated by commas, or all: energy@0.95,
            stable_rank, erank, knee, oht, null, kohya's sv_fro@0.9, sv_cumulative@0.9 and
            sv_ratio@20, and budgets: budget@0.5, budget_params@1000000, budget_error@0.1.
        adapter_config: The adapter's configuration, where it lies elsewhere.
        weights: The adapter's weights, where they lie elsewhere.
        initial_adapter: The adapter that training began with (PiSSA, OLoRA, LoRA-GA, CorDA).
        importance_quantile: Flag policy disagreements from this quantile of importance on.
        importance_uniform_mult_gate: And from this multiple of a uniform share on.
        importance_metric: What importance is measured by.
        exact: Reduce by QR always, where the smallest singular values matter.
        device: Where the factors are reduced: cpu (NumPy), or cuda and other devices of torch.
        fail_on: Exit with 1 on a finding of this severity or above.
        verbose: Show every module and every line of a rank_pattern.
        json: Print the report as JSON.
    """
    for flag, given in (("base-norms-cache", base_norms_cache), ("intruders", intruders)):
        if given and (base_model is None or no_udr):
            raise GradienceError(f"--{flag}: expected a --base-model as well, found none")
    with module_progress() as on_module:
        report = audit(
            peft_dir,
            adapter_config=adapter_config,
            weights=weights,
            initial_adapter=initial_adapter,
            base_model=None if no_udr else base_model,
            base_norms_cache=base_norms_cache,
            intruders=intruders,
            rank_policies=policy_names(rank_policies),
            top_singular_values=top_singular_values,
            exact=exact,
            device=device,
            policy=AuditPolicy(
                layers=layers or ((verbose or top_singular_values > 0) and not json),
                suggest_per_layer=suggest_per_layer,
                top_wasteful=top_wasteful,
                disagreement=DisagreementPolicy(
                    importance_quantile=importance_quantile,
                    uniform_mult_gate=importance_uniform_mult_gate,
                    importance_metric=importance_metric,
                ),
            ),
            on_module=on_module,
        )
    if json:
        print_json(report)
    else:
        render_audit(report, console(), verbose=verbose)
    if append is not None:
        from gradience.api import append_audit

        append_audit(report, append)
    return EXIT_FINDINGS if fail_on.triggered_by(report.severities) else EXIT_OK


def policy_names(text: str) -> list[str]:
    """The policies of ``--rank-policies``, each once; ``all`` stands for the usual ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    spelled = [DEFAULT_POLICIES if name == ALL_POLICIES else (name,) for name in names]
    return list(dict.fromkeys(name for group in spelled for name in group))
