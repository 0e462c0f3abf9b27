"""``gradience audit``."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gradience.vnext.telemetry_reader import TelemetryReader
from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]

MODULE = "base_model.model.model.layers.{}.self_attn.q_proj"


def write_adapter(folder: Path, *, poison: bool = False) -> Path:
    rng = np.random.default_rng(0)
    tensors = {}
    for layer in range(3):
        name = MODULE.format(layer)
        tensors[f"{name}.lora_A.weight"] = rng.standard_normal((8, 32)).astype(np.float32)
        b = rng.standard_normal((24, 8)) * np.array([9.0, 3.0, 1, 0.1, 0.1, 0.1, 0.1, 0.1])
        tensors[f"{name}.lora_B.weight"] = b.astype(np.float32)
    if poison:
        tensors[f"{MODULE.format(1)}.lora_B.weight"][0, 0] = np.nan
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter")


CORE_KEYS = {
    "peft_dir", "adapter_config_path", "adapter_weights_path", "total_lora_params", "n_layers",
    "stable_rank_mean", "stable_rank_median", "stable_rank_weighted_mean", "effective_rank_mean",
    "utilization_mean", "energy_rank_90_p50", "energy_rank_90_p90", "suggested_r_global_median",
    "suggested_r_global_90", "by_type", "delta_sigma_max_scaled_mean",
    "delta_sigma_max_scaled_p50", "delta_sigma_max_scaled_p90", "delta_frob_norm_scaled_mean",
    "delta_frob_norm_scaled_p50", "delta_frob_norm_scaled_p90", "issues", "gain",
    "per_module_gain", "per_layer_gain", "global_gain", "composition",
}  # fmt: skip

ROW_KEYS = {
    "name", "module_type", "r", "alpha", "scale", "a_key", "b_key", "a_shape", "b_shape", "params",
    "stable_rank", "effective_rank", "utilization", "sigma_max", "frob_sq", "energy_rank_90",
    "energy_rank_95", "energy_rank_99", "delta_sigma_max", "delta_fro_norm", "base_sigma_max",
    "base_fro_norm", "udr", "udr_f", "sdi", "top_singular_values",
}  # fmt: skip


def test_json_has_the_contract_keys(cli: Cli, adapter: Path) -> None:
    result = cli("audit", "--peft-dir", adapter, "--json")
    assert (result.code, result.err) == (0, "")
    assert result.json.keys() >= CORE_KEYS
    assert "layer_data" not in result.json


def test_layers_and_singular_values(cli: Cli, adapter: Path) -> None:
    report = cli("audit", "--peft-dir", adapter, "--layers", "--top-singular-values", 3, "--json")
    data = report.json["layer_data"]
    assert isinstance(data, dict)
    assert data["layer_rows_schema"] == "v1"
    assert len(data["layer_rows"]) == 3
    for row in data["layer_rows"]:
        assert row.keys() >= ROW_KEYS
        assert row["scale"] == 2.0
        assert len(row["top_singular_values"]) == 3


def test_suggest_per_layer_stands_alone(cli: Cli, adapter: Path) -> None:
    found = cli("audit", "--peft-dir", adapter, "--suggest-per-layer", "--json").json
    suggestions = found["rank_suggestions"]
    assert isinstance(suggestions, dict)
    expected = {"default_r", "rank_pattern", "by_module_type_p90", "layers", "notes"}
    assert suggestions.keys() >= expected
    assert suggestions["default_r"] in (1, 2, 4, 8)


def test_top_wasteful_lists_so_many(cli: Cli, adapter: Path) -> None:
    found = cli("audit", "--peft-dir", adapter, "--top-wasteful", 2, "--json").json
    assert len(found["top_wasteful"]) == 2  # type: ignore[arg-type]  # a JSON list


def test_rank_policies_stand_side_by_side(cli: Cli, adapter: Path) -> None:
    args = ("audit", "--peft-dir", adapter, "--rank-policies", "energy@0.95,knee", "--json")
    table = cli(*args).json["rank_policies"]
    assert isinstance(table, dict)
    assert table["policies"] == ["energy@0.95", "knee"]
    assert table["modules"][0]["k_by_policy"].keys() == {"energy@0.95", "knee"}


def test_importance_flags_reach_the_gate(cli: Cli, adapter: Path) -> None:
    args = ("audit", "--peft-dir", adapter, "--rank-policies", "energy@0.99,stable_rank", "--json")
    gates = ("--importance-quantile", 0, "--importance-uniform-mult-gate", 0)
    strict, open_ = cli(*args).json["rank_policies"], cli(*args, *gates).json["rank_policies"]
    assert isinstance(strict, dict)
    assert isinstance(open_, dict)
    assert len(open_["flagged"]) == open_["n_disagree"]
    assert len(strict["flagged"]) < 3


def test_append_writes_into_the_run(cli: Cli, adapter: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    assert cli("audit", "--peft-dir", adapter, "--append", run).code == 0
    (event,) = TelemetryReader(run).iter_events("metrics")
    assert getattr(event, "kind", None) == "lora_audit"
    assert TelemetryReader(run).summarize().stable_rank_mean is not None


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("never", 0), ("critical", 0)])
def test_nonfinite_weights_fail_by_default(cli: Cli, tmp_path: Path, level: str, code: int) -> None:
    bad = write_adapter(tmp_path / "bad", poison=True)
    assert cli("audit", "--peft-dir", bad).code == 1
    result = cli("audit", "--peft-dir", bad, "--fail-on", level)
    assert result.code == code
    assert "nonfinite_factor" in result.out


def test_broken_pair_fails_by_default(cli: Cli, adapter: Path) -> None:
    save_file(
        {f"{MODULE.format(0)}.lora_A.weight": np.ones((8, 4), np.float32)},
        adapter / "adapter_model.safetensors",
    )
    result = cli("audit", "--peft-dir", adapter)
    assert result.code == 1
    assert "incomplete_pair" in result.out


def test_unreadable_input_exits_2_on_stderr(cli: Cli, tmp_path: Path) -> None:
    result = cli("audit", "--peft-dir", tmp_path / "nowhere")
    assert (result.code, result.out) == (2, "")
    assert "expected an adapter's folder" in result.err


def test_unknown_policy_exits_2(cli: Cli, adapter: Path) -> None:
    result = cli("audit", "--peft-dir", adapter, "--rank-policies", "magic")
    assert result.code == 2
    assert "magic" in result.err


def test_other_layouts_need_no_config(cli: Cli, tmp_path: Path) -> None:
    a, b = np.ones((2, 6), np.float32), np.ones((5, 2), np.float32)
    tensors = {"lora_unet_x.lora_down.weight": a, "lora_unet_x.lora_up.weight": b}
    save_file(tensors, tmp_path / "style.safetensors")
    found = cli("audit", "--peft-dir", tmp_path / "style.safetensors", "--json").json
    assert (found["layout"], found["n_layers"]) == ("kohya", 1)
    assert found["adapter_config_path"] is None


def test_an_unknown_layout_exits_2_with_the_layouts_known(cli: Cli, tmp_path: Path) -> None:
    save_file({"weight": np.ones((2, 2))}, tmp_path / "model.safetensors")
    result = cli("audit", "--peft-dir", tmp_path)
    assert (result.code, result.out) == (2, "")
    for word in ("found weight", "PEFT", "kohya", "diffusers", "cloneofsimo", "mlx-lm"):
        assert word in " ".join(result.err.split())


def test_a_declined_method_exits_2_with_its_name(cli: Cli, adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    result = cli("audit", "--peft-dir", adapter)
    assert (result.code, result.out) == (2, "")
    assert "peft_type IA3" in " ".join(result.err.split())


def test_moved_base_weight_exits_2_unless_the_beginning_is_named(
    cli: Cli, adapter: Path, tmp_path: Path
) -> None:
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "init_lora_weights": "pissa"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    refused = cli("audit", "--peft-dir", adapter)
    assert refused.code == 2
    assert "--initial-adapter" in refused.err
    first = write_adapter(tmp_path / "first")
    found = cli("audit", "--peft-dir", adapter, "--initial-adapter", first, "--json").json
    assert found["n_layers"] == 3


def test_config_and_weights_may_lie_elsewhere(cli: Cli, adapter: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    result = cli(
        "audit",
        "--peft-dir",
        empty,
        "--adapter-config",
        adapter / "adapter_config.json",
        "--weights",
        adapter / "adapter_model.safetensors",
        "--json",
    )
    assert result.json["n_layers"] == 3


def test_view_fits_80_columns_and_has_no_colour_codes(cli: Cli, adapter: Path) -> None:
    result = cli("audit", "--peft-dir", adapter, "--verbose", "--rank-policies", "all")
    assert "utilisation" in result.out
    assert "\x1b[" not in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("columns", ["40", "60", "200"])
def test_no_digit_is_cut_whatever_the_width(
    cli: Cli, adapter: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    printed = cli("audit", "--peft-dir", adapter, "--layers").out
    assert "1,344" in printed
    assert printed.count("model.layers") or "q_proj" in printed


@pytest.mark.parametrize("flag", ["--top-singular-values", "--top-wasteful"])
def test_negative_counts_exit_2(cli: Cli, adapter: Path, flag: str) -> None:
    assert cli("audit", "--peft-dir", adapter, f"{flag}=-1").code == 2


def test_a_norm_cache_needs_a_base_model(cli: Cli, adapter: Path, tmp_path: Path) -> None:
    result = cli("audit", "--peft-dir", adapter, "--base-norms-cache", tmp_path / "n.json")
    assert result.code == 2
    assert "--base-model" in result.err


def test_all_policies_stand_beside_named_ones(cli: Cli, adapter: Path) -> None:
    args = ("audit", "--peft-dir", adapter, "--rank-policies", "energy@0.50,all", "--json")
    table = cli(*args).json["rank_policies"]
    assert isinstance(table, dict)
    expected = ["energy@0.50", "energy@0.90", "stable_rank", "erank", "knee", "oht", "null"]
    assert table["policies"] == expected
    assert "noise model" in table["caveats"][0]


def test_the_report_is_printed_even_where_appending_fails(
    cli: Cli, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"log_history": []}')
    result = cli("audit", "--peft-dir", adapter, "--append", other)
    assert result.code == 2
    assert "utilisation" in result.out
    assert "trainer_state.json" in result.err
    assert other.read_text() == '{"log_history": []}'


def test_no_path_goes_into_the_run(cli: Cli, adapter: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    cli("audit", "--peft-dir", adapter, "--append", run)
    assert str(tmp_path) not in run.read_text()
    assert '"peft_dir":"adapter"' in run.read_text()
