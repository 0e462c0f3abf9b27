"""Every real adapter against the dense oracle, and what is known of each."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gradience.api import audit
from gradience.core.audit.assemble import AuditPolicy
from gradience.core.audit.report import AuditReport, LayerRow
from gradience.core.errors import AdapterError, UnsupportedAdapterError
from gradience.core.ranks.suggest import RankSuggestions
from tests.adapter_files import findings_of, rows_of
from tests.dense_oracle import (
    RawModule,
    assert_same_values,
    dense_singular_values,
    dense_within_budget,
    naive_effective_rank,
    naive_energy_rank,
    naive_stable_rank,
    raw_modules,
    thin_singular_values,
)
from tests.shared_data import SHARED, needs_shared_data

pytestmark = [needs_shared_data, pytest.mark.shared_data]

ADAPTERS = SHARED / "adapters"
REFUSED = {
    "dora_vs_lora_configs_only/DoRA": "expected adapter_model.safetensors",
    "dora_vs_lora_configs_only/LoRA": "expected adapter_model.safetensors",
    "gpt2_ckpts_mixed_targets/checkpoint-500": "expected adapter_model.safetensors",
    "rslora_config_and_log_only": "expected adapter_model.safetensors",
    "lfs_pointer_instead_of_weights": "Git LFS pointer",
    "prompt_tuning_not_lora": "PROMPT_TUNING",
    "mlx_lora_adapter": "mlx-lm",
}
FOLDERS = sorted(
    str(path.parent.relative_to(ADAPTERS)) for path in ADAPTERS.rglob("adapter_config.json")
)
READ = [name for name in FOLDERS if name not in REFUSED]
UNTRAINED = ["minilm_untrained_full_names", "stella_untrained_B_zero"]
WITH_FINDINGS = [*UNTRAINED, "distilbert_udacity_on_head", "whisper_small_r8"]


@cache
def _report(name: str) -> AuditReport:
    policy = AuditPolicy(layers=True, suggest_per_layer=True)
    return audit(ADAPTERS / name, policy=policy, top_singular_values=64)


@cache
def _modules(name: str) -> dict[str, RawModule]:
    return {module.name: module for module in raw_modules(ADAPTERS / name)}


def _trained(name: str) -> list[tuple[RawModule, LayerRow]]:
    rows = rows_of(_report(name))
    return [(module, rows[key]) for key, module in _modules(name).items() if module.b.any()]


def test_every_adapter_is_read_or_refused() -> None:
    assert len(READ) == 27
    assert set(REFUSED) < set(FOLDERS)


@pytest.mark.parametrize("name", READ)
def test_values_are_those_of_the_dense_update(name: str) -> None:
    rows = rows_of(_report(name))
    for module in dense_within_budget([module for module, _ in _trained(name)]):
        found = np.array(rows[module.name].top_singular_values)
        assert_same_values(found, dense_singular_values(module))


@pytest.mark.parametrize("name", READ)
def test_values_of_every_module_are_those_of_the_factors_svds(name: str) -> None:
    for module, row in _trained(name):
        assert_same_values(np.array(row.top_singular_values), thin_singular_values(module))


@pytest.mark.parametrize("name", READ)
def test_quantities_are_the_naive_ones(name: str) -> None:
    for module, row in _trained(name):
        sigma = thin_singular_values(module)
        ranks = [naive_energy_rank(sigma, tau) for tau in (0.90, 0.95, 0.99)]
        assert [row.energy_rank_90, row.energy_rank_95, row.energy_rank_99] == ranks
        assert row.stable_rank == pytest.approx(naive_stable_rank(sigma), rel=1e-6)
        assert row.effective_rank == pytest.approx(naive_effective_rank(sigma), rel=1e-6)
        assert row.delta_sigma_max == pytest.approx(sigma[0], rel=1e-6)
        assert row.delta_fro_norm == pytest.approx(np.linalg.norm(sigma), rel=1e-6)
        assert row.scale == pytest.approx(module.scale, rel=1e-15)


@pytest.mark.parametrize("name", READ)
def test_counts_are_exact(name: str) -> None:
    report, modules = _report(name), _modules(name)
    config = json.loads((ADAPTERS / name / "adapter_config.json").read_text())
    assert set(rows_of(report)) == set(modules)
    assert report.n_layers == len(modules)
    assert report.total_lora_params == sum(m.a.size + m.b.size for m in modules.values())
    assert {row.r for row in rows_of(report).values()} == {config["r"]}


@pytest.mark.parametrize("name", READ)
def test_updates_that_are_zero_are_told_and_no_other(name: str) -> None:
    report = _report(name)
    dead = {key for key, module in _modules(name).items() if not module.b.any()}
    told = {key for finding in report.findings for key in finding.modules} & set(_modules(name))
    assert told - {"classifier"} == dead
    assert report.n_layers_untrained == len(dead)


@pytest.mark.parametrize("name", [name for name in READ if name not in WITH_FINDINGS])
def test_an_ordinary_adapter_has_no_finding(name: str) -> None:
    assert _report(name).findings == ()


@pytest.mark.parametrize("name", READ)
def test_suggested_ranks_never_exceed_the_present(name: str) -> None:
    found = _report(name).rank_suggestions
    assert isinstance(found, RankSuggestions)
    for layer in found.layers:
        assert layer.suggested_r is None or 1 <= layer.suggested_r <= layer.current_r


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_what_is_no_lora_adapter_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(AdapterError, match=reason):
        audit(ADAPTERS / name)


@pytest.mark.parametrize(
    ("name", "layout"),
    [("sd15_kohya_names", "kohya"), ("cloneofsimo_lora_disney", "cloneofsimo")],
)
def test_diffusion_layouts_are_refused_by_name(name: str, layout: str) -> None:
    with pytest.raises(UnsupportedAdapterError, match=layout):
        audit(SHARED / "diffusion_lora" / name)


def test_whispers_encoder_is_dead() -> None:
    finding = findings_of(_report("whisper_small_r8"))["dead_modules"]
    assert "everything under model.encoder" in finding.message
    assert len(finding.modules) == 24


@pytest.mark.parametrize("name", UNTRAINED)
def test_untrained_adapters_get_no_ranks(name: str) -> None:
    report = _report(name)
    assert "untrained" in findings_of(report)
    assert (report.suggested_r_global_median, report.suggested_r_global_90) == (None, None)
    assert isinstance(report.rank_suggestions, RankSuggestions)
    assert (report.rank_suggestions.default_r, report.rank_suggestions.rank_pattern) == (None, {})


def test_stellas_targets_are_not_in_the_file() -> None:
    finding = findings_of(_report("stella_untrained_B_zero"))["target_unmatched"]
    assert finding.modules == ("k_proj", "q_proj", "v_proj")


def test_a_pair_stored_three_times_is_audited_once() -> None:
    report = _report("distilbert_udacity_on_head")
    assert findings_of(report)["pair_stored_again"].modules == ("classifier",)
    row = rows_of(report)["classifier"]
    assert row.b_shape == (6, 8)
    assert len(row.top_singular_values) == 6
    assert row.module_type == "other"
    assert row.layer is None


def test_half_precision_is_audited_with_alpha_of_a_rank_one_adapter() -> None:
    rows = rows_of(_report("opencalm1b_r1_fp16"))
    assert {row.scale for row in rows.values()} == {32.0}
    assert {row.stable_rank for row in rows.values()} == {1.0}


def test_saved_modules_and_biases_are_counted() -> None:
    others = _report("roberta_bias_all_modules_to_save").other_tensors
    assert sum(others.values()) == 105


def test_two_seeds_of_one_task_give_nearly_the_same_numbers() -> None:
    one, two = (
        _report(f"gemma3_270m_r4_svg_two_seeds/{name}").stable_rank_mean
        for name in ("adapter", "adapter_seed123")
    )
    assert one == pytest.approx(two, rel=0.01)
    assert one != two


def test_a_folder_of_folders_is_no_adapter() -> None:
    with pytest.raises(AdapterError, match="adapter's configuration"):
        audit(Path(ADAPTERS / "gemma3_270m_r4_svg_two_seeds"))
