"""The audit's Python entry points, on adapters that PEFT itself made."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.numpy import save_file

from gradience.api import append_audit, audit, audit_lora_peft_dir, audit_lora_state_dict
from gradience.core.audit.report import AuditReport, LayerData
from gradience.core.errors import ConfigError, TelemetryError, UnsupportedAdapterError
from gradience.core.ranks.disagreement import PolicyTable
from gradience.core.telemetry.events import Metrics
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter
from tests.adapter_files import (
    Q_PROJ,
    Array,
    factors,
    findings_of,
    lora_config,
    rows_of,
    state_dict,
    write_modules,
)
from tests.tiny_models import ATTENTION_AND_MLP, lora_layers, peft_warns, tiny_llama


def _trained_llama(folder: Path) -> tuple[LoraConfig, Mapping[str, Array]]:
    """Saves base and adapter with random factors; gives the config and the scaled updates."""
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=ATTENTION_AND_MLP,
        rank_pattern={"q_proj": 2, "layers.1.mlp.up_proj": 7},
        alpha_pattern={"v_proj": 3},
        use_rslora=True,
    )
    base = tiny_llama()
    base.save_pretrained(folder / "base", max_shard_size="4KB")
    model = get_peft_model(base, config)
    layers = lora_layers(model)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    model.save_pretrained(str(folder / "adapter"))
    updates = {
        name: layer.get_delta_weight("default").detach().double().numpy()
        for name, layer in layers.items()
    }
    return config, updates


@peft_warns
def test_udr_of_every_module_is_the_dense_one(tmp_path: Path) -> None:
    _, updates = _trained_llama(tmp_path)
    report = audit_lora_peft_dir(tmp_path / "adapter", base_model=str(tmp_path / "base"))
    rows, model = rows_of(report), tiny_llama()
    assert set(rows) == set(updates)
    assert report.n_layers_with_udr == 14
    for name, update in updates.items():
        base = model.get_submodule(name).get_parameter("weight").detach().numpy()
        udr = np.linalg.norm(update, 2) / np.linalg.norm(base, 2)
        assert rows[name].udr == pytest.approx(udr, rel=1e-4)
        udr_f = np.linalg.norm(update) / np.linalg.norm(base)
        assert rows[name].udr_f == pytest.approx(udr_f, rel=1e-4)


@peft_warns
def test_peft_as_it_saves_gives_no_finding(tmp_path: Path) -> None:
    _trained_llama(tmp_path)
    assert set(findings_of(audit(tmp_path / "adapter"))) == {"like_noise"}  # its factors are random


@peft_warns
def test_a_new_peft_model_in_memory_is_untrained() -> None:
    config = LoraConfig(r=4, target_modules=["q_proj"])
    model = get_peft_model(tiny_llama(), config)
    state = {name: tensor.numpy() for name, tensor in get_peft_model_state_dict(model).items()}
    raw = config.to_dict()  # type: ignore[no-untyped-call]  # peft leaves it untyped
    report = audit_lora_state_dict(state, raw)
    assert (report.n_layers, report.peft_dir) == (2, "<memory>")
    assert "untrained" in findings_of(report)


def test_memory_and_folder_agree(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    in_memory = audit_lora_state_dict(state_dict({Q_PROJ: factors()}), lora_config())
    from_folder = audit_lora_peft_dir(folder)
    assert in_memory.layer_data == from_folder.layer_data
    assert in_memory.composition == from_folder.composition


def test_arrays_in_memory_are_not_changed() -> None:
    state = state_dict({Q_PROJ: factors()})
    before = {name: array.copy() for name, array in state.items()}
    audit_lora_state_dict(state, lora_config())
    assert all((state[name] == before[name]).all() for name in state)


@pytest.mark.parametrize("state", [{}, {"x": np.ones(3)}])
def test_a_state_without_pairs_is_refused(state: dict[str, Array]) -> None:
    with pytest.raises(
        UnsupportedAdapterError,
        match=r"expected LoRA factors of a known layout, found (no tensor at all|x)\. Known",
    ):
        audit_lora_state_dict(state, lora_config())


def test_other_layouts_in_memory_need_no_config() -> None:
    a, b = factors()
    state = {"lora_unet_x.lora_down.weight": a, "lora_unet_x.lora_up.weight": b}
    report = audit_lora_state_dict(state)
    assert (report.layout, set(rows_of(report))) == ("kohya", {"lora_unet_x"})
    assert report.adapter_config_path is None


def test_torch_tensors_of_any_dtype_are_arrays() -> None:
    arrays = state_dict({Q_PROJ: factors()})
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        state = {name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}
        wide = {name: tensor.double().numpy() for name, tensor in state.items()}
        found, expected = (
            rows_of(audit_lora_state_dict(kind, lora_config()))[Q_PROJ] for kind in (state, wide)
        )
        assert found.delta_fro_norm == pytest.approx(expected.delta_fro_norm, rel=1e-12)


def test_the_base_model_of_an_adapter_in_memory_is_named(tmp_path: Path) -> None:
    base = np.random.default_rng(5).standard_normal((10, 12)).astype(np.float32)
    save_file({f"{Q_PROJ}.weight": base}, tmp_path / "model.safetensors")
    state = state_dict({Q_PROJ: factors()})
    report = audit_lora_state_dict(state, lora_config(), base_model=str(tmp_path))
    assert (report.base_model, report.n_layers_with_udr) == (str(tmp_path), 1)


def test_other_methods_in_memory_are_declined() -> None:
    with pytest.raises(UnsupportedAdapterError, match="VERA"):
        audit_lora_state_dict({}, {"peft_type": "VERA"})


def test_rows_are_there_where_the_name_promises_them(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    assert isinstance(audit_lora_peft_dir(folder).layer_data, LayerData)
    assert not isinstance(audit(folder).layer_data, LayerData)


def test_rank_policies_may_be_texts(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    found = audit(folder, rank_policies=["energy@0.95", "knee"]).rank_policies
    assert isinstance(found, PolicyTable)
    assert found.policies == ("energy@0.95", "knee")
    with pytest.raises(ConfigError, match="'median'"):
        audit(folder, rank_policies=["median"])


def test_exact_and_fast_agree(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    assert audit(folder, exact=True).stable_rank_mean == pytest.approx(
        audit(folder).stable_rank_mean, rel=1e-12
    )


def test_files_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "a", {Q_PROJ: factors()})
    other = write_modules(tmp_path / "b", {Q_PROJ: factors()}, lora_alpha=80)
    report = audit(folder, adapter_config=other / "adapter_config.json")
    assert report.delta_sigma_max_scaled_mean == pytest.approx(
        10 * (audit(folder).delta_sigma_max_scaled_mean or 0)
    )


def _report() -> AuditReport:
    return audit_lora_state_dict(state_dict({Q_PROJ: factors()}), lora_config())


def test_an_audit_is_appended_to_the_last_run(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with TelemetryWriter(run, run_id="the-run") as writer:
        writer.train_step(7, loss=1.0)
    append_audit(_report(), run)
    *_, last = TelemetryReader(run).iter_events()
    assert isinstance(last, Metrics)
    assert (last.run_id, last.step, last.kind) == ("the-run", 7, "lora_audit")


def test_an_appended_audit_is_not_redacted(tmp_path: Path) -> None:
    append_audit(_report(), tmp_path / "run.jsonl")
    assert "REDACTED" not in (tmp_path / "run.jsonl").read_text()


def test_a_norm_cache_that_cannot_be_kept_is_no_issue_of_the_run(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "adapter", {Q_PROJ: factors()})
    base = np.ones((10, 12), np.float32)
    save_file({f"{Q_PROJ}.weight": base}, tmp_path / "model.safetensors")
    cache = tmp_path / "private"
    cache.write_text("no folder")
    report = audit(folder, base_model=str(tmp_path), base_norms_cache=cache / "norms.json")
    assert str(cache) in findings_of(report)["norms_not_kept"].message
    assert str(cache) in "".join(report.issues)
    append_audit(report, tmp_path / "run.jsonl")
    assert "private" not in (tmp_path / "run.jsonl").read_text()


def test_appending_keeps_what_was_there(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    append_audit(_report(), run)
    before = run.read_bytes()
    append_audit(_report(), run)
    assert run.read_bytes().startswith(before)
    assert len(list(TelemetryReader(run, strict_schema=True).iter_events())) == 2


def test_a_file_of_another_kind_is_not_appended_to(tmp_path: Path) -> None:
    run = tmp_path / "notes.txt"
    run.write_text("to do\n")
    with pytest.raises(TelemetryError):
        append_audit(_report(), run)
    assert run.read_text() == "to do\n"
