"""From rows to the report: summaries by hand, and every section on request."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest

from gradience.core.adapter.factors import UpdateFactors
from gradience.core.adapter.tensors import AdapterContents, TensorInfo, TensorKind
from gradience.core.audit.assemble import AuditSource, assemble
from gradience.core.audit.module import ModuleAudit, audit_module
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport, Finding, LayerData
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.ranks.disagreement import (
    DisagreementPolicy,
    ImportanceMetric,
    PolicyTable,
)
from gradience.core.ranks.policies import parse_rank_policy
from gradience.core.ranks.suggest import RankSuggestions
from gradience.core.severity import Severity
from tests.adapter_files import peft_contents, tensor_pair

SOURCE = AuditSource(peft_dir="d", adapter_config_path="c", adapter_weights_path="w")
SIGMA: Mapping[str, Sequence[float]] = {
    "layers.0.self_attn.q_proj": [3.0, 0.0, 0.0, 0.0],
    "layers.0.mlp.up_proj": [1.0, 1.0, 1.0, 1.0],
    "layers.1.self_attn.q_proj": [0.0, 0.0, 0.0, 0.0],
    "score": [2.0, 1.0, 0.0, 0.0],
}


def _module(name: str, sigma: Sequence[float], base: BaseNorms | None = None) -> ModuleAudit:
    a, b = np.zeros((4, 12)), np.zeros((10, 4))
    a[:, :4], b[:4] = np.eye(4), np.diag(sigma)
    return audit_module(tensor_pair(name, dtype="F64"), UpdateFactors(None, a, b), base=base)


def _report(
    policy: AuditPolicy | None = None,
    findings: Sequence[Finding] = (),
    base: BaseNorms | None = None,
    sigma: Mapping[str, Sequence[float]] = SIGMA,
) -> AuditReport:
    modules = [_module(name, values, base) for name, values in sigma.items()]
    return assemble(SOURCE, modules, AdapterContents(layout="PEFT"), findings, policy)


def test_summaries_are_over_the_trained_modules() -> None:
    found = _report()
    assert (found.n_layers, found.n_layers_untrained, found.total_lora_params) == (4, 1, 4 * 88)
    assert found.stable_rank_mean == pytest.approx((1 + 4 + 1.25) / 3)
    assert found.stable_rank_median == pytest.approx(1.25)
    assert found.stable_rank_weighted_mean == pytest.approx((1 + 4 + 1.25) / 3)
    assert found.utilization_mean == pytest.approx((1 + 4 + 1.25) / 12)
    assert found.energy_rank_90_p50 == 2.0
    assert found.energy_rank_90_p90 == pytest.approx(3.6)
    assert (found.suggested_r_global_median, found.suggested_r_global_90) == (2, 4)


def test_norms_are_scaled() -> None:
    found = _report()
    assert found.delta_sigma_max_scaled_mean == pytest.approx(2 * (3 + 1 + 2) / 3)
    assert found.delta_sigma_max_scaled_p50 == pytest.approx(4)
    assert found.delta_frob_norm_scaled_mean == pytest.approx(2 * (3 + 2 + 5**0.5) / 3)


def test_types_are_summarised_apart() -> None:
    by_type = _report().by_type
    assert {kind: group.n_layers for kind, group in by_type.items()} == {
        "attn": 2,
        "mlp": 1,
        "other": 1,
    }
    assert by_type["attn"].stable_rank_mean == pytest.approx(1.0)
    assert by_type["mlp"].energy_rank_90_p90 == 4.0


def test_gains_leave_untrained_modules_out_and_file_the_head_apart() -> None:
    found = _report()
    assert [gain.module for gain in found.per_module_gain] == [
        name for name in SIGMA if name != "layers.1.self_attn.q_proj"
    ]
    assert [layer.layer for layer in found.per_layer_gain] == [0, None]
    assert found.composition.energy_total_fro2 == pytest.approx(4 * (9 + 4 + 5))
    assert sum(share.share for share in found.composition.layers) == pytest.approx(1.0)


def test_an_untrained_adapter_has_no_numbers() -> None:
    found = _report(sigma={"a": [0.0] * 4})
    assert found.stable_rank_mean is None
    assert found.suggested_r_global_median is None
    assert found.composition.layers == ()


def test_no_modules_make_a_report() -> None:
    assert _report(sigma={}).n_layers == 0


def test_ratios_appear_with_a_base_model_alone() -> None:
    assert _report().udr_mean is None
    found = _report(base=BaseNorms(sigma_max=16.0, fro=40.0))
    assert found.n_layers_with_udr == 3
    assert found.udr_max == pytest.approx(0.375)
    assert found.udr_median == pytest.approx(0.25)
    assert found.fraction_udr_gt_0_1 == 1.0
    assert found.fraction_udr_gt_0_3 == pytest.approx(1 / 3)
    assert found.sdi_p90 is not None


def test_findings_stand_by_severity_and_issues_from_warning_on() -> None:
    levels = [Severity.INFO, Severity.ERROR, Severity.WARNING]
    given = [Finding(severity=level, code=level.value, message=level.value) for level in levels]
    found = _report(findings=given)
    assert [finding.code for finding in found.findings] == ["error", "warning", "info"]
    assert found.issues == ("error", "warning")
    assert found.severities == (Severity.ERROR, Severity.WARNING, Severity.INFO)


def test_findings_of_single_modules_stand_together() -> None:
    one, two = (
        Finding(
            severity=Severity.ERROR, code="c", message=f"{name}: bad", remedy="r", modules=(name,)
        )
        for name in ("a", "b")
    )
    (found,) = _report(findings=[one, two]).findings
    assert (found.message, found.modules) == ("2 modules, the first a: bad", ("a", "b"))


def test_other_tensors_are_counted_by_kind() -> None:
    others = [("q.bias", (4,)), ("k.bias", (3,)), ("score.weight", (4, 5))]
    contents = peft_contents(TensorInfo(name, shape, "F32") for name, shape in others)
    assert {kind for _, kind in contents.others} == {TensorKind.BIAS, TensorKind.SAVED_MODULE}
    found = assemble(SOURCE, [], contents, [])
    assert found.other_tensors == {"bias": 2, "module saved whole": 1}
    assert found.other_params == {"bias": 7, "module saved whole": 20}
    assert (found.layout, found.peft_type) == ("PEFT", "LORA")


def test_the_headers_training_settings_are_kept() -> None:
    contents = AdapterContents(layout="kohya", training_metadata={"ss_network_dim": "4"})
    found = assemble(SOURCE, [], contents, [])
    assert (found.layout, found.training_metadata) == ("kohya", {"ss_network_dim": "4"})


def test_sections_not_asked_for_are_absent() -> None:
    found = _report()
    sections = (found.layer_data, found.rank_suggestions, found.top_wasteful, found.rank_policies)
    assert all(section is msgspec.UNSET for section in sections)


def test_layers_are_rows_in_file_order() -> None:
    data = _report(AuditPolicy(layers=True)).layer_data
    assert isinstance(data, LayerData)
    assert [row.name for row in data.layer_rows] == list(SIGMA)


def test_suggestions_per_layer_leave_untrained_modules_out() -> None:
    found = _report(AuditPolicy(suggest_per_layer=True)).rank_suggestions
    assert isinstance(found, RankSuggestions)
    ranks = {layer.name.split(".")[-1]: layer.suggested_r for layer in found.layers[:2]}
    assert ranks == {"q_proj": 1, "up_proj": 4}
    assert found.layers[2].suggested_r is None


def test_the_most_wasteful_module_is_the_untrained_one() -> None:
    found = _report(AuditPolicy(top_wasteful=2)).top_wasteful
    assert isinstance(found, tuple)
    assert [layer.name for layer in found] == [
        "layers.1.self_attn.q_proj",
        "layers.0.self_attn.q_proj",
    ]


@pytest.mark.parametrize(("metric", "share"), [("energy_share", 0.5), ("params_share", 1 / 3)])
def test_policies_are_set_side_by_side(metric: ImportanceMetric, share: float) -> None:
    specs = tuple(parse_rank_policy(text) for text in ("energy@0.90", "knee", "energy@0.995"))
    disagreement = DisagreementPolicy(importance_metric=metric)
    found = _report(AuditPolicy(rank_policies=specs, disagreement=disagreement)).rank_policies
    assert isinstance(found, PolicyTable)
    assert found.policies == ("energy@0.90", "knee", "energy@0.995")
    assert found.modules[0].k_by_policy == {"energy@0.90": 1, "knee": 1, "energy@0.995": 1}
    assert found.modules[0].importance_share == pytest.approx(share)
    assert [module.name for module in found.modules] == [
        name for name, sigma in SIGMA.items() if any(sigma)
    ]
