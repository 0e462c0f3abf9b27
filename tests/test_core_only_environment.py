"""What works in an environment without torch, transformers and peft."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests.adapter_files import Q_PROJ, UP_PROJ, factors, state_dict, write_modules
from tests.core_only_environment import build, core_closure, run

ABSENT = ("torch", "transformers", "peft", "accelerate", "datasets", "fsspec", "pytest", "pip")
RUN = Path(__file__).parent / "data" / "gradience" / "fixture_vnext_minimal.jsonl"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("core_only"))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_modules(tmp_path / "adapter", {Q_PROJ: factors(), UP_PROJ: factors(seed=1)})


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    weight = np.random.default_rng(0).standard_normal((10, 12)).astype(np.float32)
    weights = {f"{Q_PROJ}.weight": weight, f"{UP_PROJ}.weight": weight}
    save_file(weights, tmp_path / "base" / "model.safetensors")
    return tmp_path / "base"


def test_the_core_brings_no_framework() -> None:
    assert {"numpy", "msgspec", "safetensors", "cyclopts"} <= core_closure().keys()
    assert not core_closure().keys() & set(ABSENT)


@pytest.mark.parametrize("name", ABSENT)
def test_it_is_not_there(python: Path, name: str) -> None:
    script = f"import {name}"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr


def test_check_works(python: Path, adapter: Path) -> None:
    done = run(python, "check", "--peft-dir", adapter, "--json")
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    assert "recommendations" in json.loads(done.stdout)


def test_monitor_works(python: Path) -> None:
    done = run(python, "monitor", RUN, "--json")
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    assert json.loads(done.stdout)


@pytest.mark.parametrize("flags", [(), ("--json",), ("--layers", "--suggest-per-layer")])
def test_audit_works(python: Path, adapter: Path, flags: tuple[str, ...]) -> None:
    done = run(python, "audit", adapter, "--rank-policies", "all", *flags)
    assert (done.returncode, done.stderr) == (0, "")


def test_audit_works_against_a_base_model(python: Path, adapter: Path, base: Path) -> None:
    done = run(python, "audit", adapter, "--base-model", base, "--intruders", "--json")
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    assert json.loads(done.stdout)["n_layers_with_udr"] == 2


def test_audit_of_half_precision_works(python: Path, tmp_path: Path) -> None:
    import ml_dtypes

    a, b = (factor.astype(ml_dtypes.bfloat16) for factor in factors())
    done = run(python, "audit", write_modules(tmp_path, {Q_PROJ: (a, b)}), "--json")
    assert (done.returncode, done.stderr) == (0, "")


def test_audit_of_a_file_beside_a_bin_works(python: Path, adapter: Path) -> None:
    torch.save({"x": torch.ones(2)}, adapter / "adapter_model.bin")
    done = run(python, "audit", adapter, "--json")
    assert done.returncode == 0
    assert "twin_differs" in done.stdout


@pytest.mark.parametrize("name", ["telemetry", "audit"])
def test_schema_works(python: Path, name: str) -> None:
    done = run(python, "schema", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "$defs" in json.loads(done.stdout)


def test_a_bin_asks_for_torch_by_name(python: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    state = state_dict({Q_PROJ: factors()})
    torch.save({k: torch.from_numpy(v) for k, v in state.items()}, adapter / "adapter_model.bin")
    _assert_asks(run(python, "audit", adapter), "torch")


def test_a_device_asks_for_torch_by_name(python: Path, adapter: Path) -> None:
    _assert_asks(run(python, "audit", adapter, "--device", "cuda"), "torch")


def test_an_address_asks_for_fsspec_by_name(python: Path) -> None:
    _assert_asks(run(python, "audit", "hf://owner/name"), "fsspec")


def test_a_base_model_by_id_asks_for_the_hub_by_name(python: Path, adapter: Path) -> None:
    _assert_asks(run(python, "audit", adapter, "--base-model", "owner/name"), "huggingface_hub")


def test_the_demo_asks_for_what_it_needs(python: Path) -> None:
    done = run(python, "demo")
    assert (done.returncode, done.stdout.strip()) == (2, "")
    assert "PyTorch" in done.stderr
    assert "gradience[hf]" in done.stderr


def _assert_asks(done: subprocess.CompletedProcess[str], package: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gradience: ")
    assert package in done.stderr
    assert done.stderr.count("\n") == 1
