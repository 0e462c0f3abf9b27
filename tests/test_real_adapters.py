"""Every real adapter against the dense oracle, and what is known of each."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gradience.api import audit
from gradience.core.adapter.layouts import AdapterFile, read_adapter
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport, LayerRow
from gradience.core.errors import AdapterError
from gradience.core.ranks.suggest import RankSuggestions
from gradience.shell.adapters.folder import find_adapter, read_config
from gradience.shell.adapters.weights import open_weights
from tests.adapter_files import findings_of, names_in, rows_of
from tests.dense_oracle import (
    RawModule,
    assert_same_values,
    cloneofsimo_modules,
    dense_singular_values,
    dense_within_budget,
    kohya_modules,
    mlx_modules,
    naive_effective_rank,
    naive_energy_rank,
    naive_stable_rank,
    raw_modules,
    raw_tensors,
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
}
FOLDERS = sorted(
    str(path.parent.relative_to(ADAPTERS)) for path in ADAPTERS.rglob("adapter_config.json")
)
MLX = "mlx_lora_adapter"
READ = [name for name in FOLDERS if name not in REFUSED and name != MLX]
UNTRAINED = ["minilm_untrained_full_names", "stella_untrained_B_zero"]
WITH_FINDINGS = [
    *UNTRAINED,
    "distilbert_udacity_on_head",
    "whisper_small_r8",
    "roberta_bias_all_modules_to_save",
]
DIFFUSION = SHARED / "diffusion_lora"
OTHER_LAYOUTS: dict[str, tuple[Path, str, Callable[[], Iterator[RawModule]], int]] = {
    "mlx": (ADAPTERS / MLX, "mlx-lm", lambda: mlx_modules(ADAPTERS / MLX), 8),
    "kohya": (
        DIFFUSION / "sd15_kohya_names",
        "kohya",
        lambda: kohya_modules(DIFFUSION / "sd15_kohya_names/new.safetensors"),
        128,
    ),
    "cloneofsimo": (
        DIFFUSION / "cloneofsimo_lora_disney",
        "cloneofsimo",
        lambda: cloneofsimo_modules(DIFFUSION / "cloneofsimo_lora_disney/lora_disney.safetensors"),
        192,
    ),
}


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
    found = [f for f in report.findings if f.code in {"untrained", "dead_modules"}]
    assert {key for finding in found for key in finding.modules} == dead
    assert report.n_layers_untrained == len(dead)


@pytest.mark.parametrize("name", [name for name in READ if name not in WITH_FINDINGS])
def test_an_ordinary_adapter_has_no_finding(name: str) -> None:
    assert [f.code for f in _report(name).findings if f.code != "like_noise"] == []


@pytest.mark.parametrize("name", READ)
def test_only_synthetic_noise_looks_like_noise_throughout(name: str) -> None:
    report = _report(name)
    found = findings_of(report).get("like_noise")
    throughout = found is not None and len(found.modules) == report.n_layers
    assert throughout == (name == "gradience_tiny_lora")


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


@pytest.mark.parametrize("kind", OTHER_LAYOUTS)
def test_other_layouts_are_those_of_the_factors_svds(kind: str) -> None:
    folder, layout, modules, count = OTHER_LAYOUTS[kind]
    report = audit(folder, policy=AuditPolicy(layers=True), top_singular_values=64)
    rows, raw = rows_of(report), {module.name: module for module in modules()}
    assert (report.layout, report.n_layers, len(raw)) == (layout, count, count)
    assert set(rows) == set(raw)
    for name, module in raw.items():
        assert rows[name].scale == module.scale
        found = np.array(rows[name].top_singular_values)
        assert_same_values(found, thin_singular_values(module))
    for module in dense_within_budget(list(raw.values())):
        found = np.array(rows[module.name].top_singular_values)
        assert_same_values(found, dense_singular_values(module))


@pytest.mark.parametrize("place", [*READ, *OTHER_LAYOUTS])
def test_no_tensor_is_unaccounted_for(place: str) -> None:
    folder = OTHER_LAYOUTS[place][0] if place in OTHER_LAYOUTS else ADAPTERS / place
    files = find_adapter(folder)
    weights = open_weights(files.weights)
    contents = read_adapter(
        AdapterFile(
            tensors=weights.tensors,
            scalars=weights.scalars(),
            metadata=weights.metadata,
            config=read_config(files.config),
        )
    )
    assert sorted(names_in(contents)) == sorted(raw_tensors(files.weights))
    assert contents.incomplete == ()
    assert contents.other_adapters == ()


def test_the_layers_of_kohyas_unet_have_names() -> None:
    report = audit(DIFFUSION / "sd15_kohya_names", policy=AuditPolicy(layers=True))
    rows = rows_of(report).values()
    assert {row.module_type for row in rows} == {"attn"}
    assert len({row.layer_name for row in rows}) == 16
    assert findings_of(report)["layout_note"].message.startswith("no alpha tensor for 128 modules")


def test_numbered_modules_have_no_layer_and_token_rows_are_counted() -> None:
    report = audit(DIFFUSION / "cloneofsimo_lora_disney", policy=AuditPolicy(layers=True))
    assert {row.layer for row in rows_of(report).values()} == {None}
    assert report.other_tensors == {"trained token rows": 2}


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


def test_a_head_saved_with_its_original_is_told() -> None:
    finding = findings_of(_report("roberta_bias_all_modules_to_save"))["weight_stored_again"]
    assert finding.modules == ("classifier.dense.bias", "classifier.out_proj.bias")


def test_a_pickle_is_audited() -> None:
    report = _report("gpt2_seqcls_bin_old_peft")
    assert report.adapter_weights_path.endswith("adapter_model.bin")
    assert report.n_layers == 24


@pytest.mark.parametrize(
    "name", ["whisper_small_r8", "flan_t5_base_r4", "convnext_mlp_r8_no_base", "vit_food_r16"]
)
def test_layers_are_told_in_every_architecture(name: str) -> None:
    rows = rows_of(_report(name)).values()
    layers = {row.layer_name for row in rows}
    counts = {"whisper_small_r8": 24, "flan_t5_base_r4": 24, "vit_food_r16": 12}
    assert None not in layers
    assert len(layers) == counts.get(name, 18)


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
    with pytest.raises(AdapterError, match=r"found SOURCE\.txt, adapter, adapter_seed123"):
        audit(Path(ADAPTERS / "gemma3_270m_r4_svg_two_seeds"))
