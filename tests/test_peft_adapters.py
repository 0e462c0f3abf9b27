"""Adapters as PEFT saves them, of every kind, against PEFT's own delta weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    PeftConfig,
    VeraConfig,
)
from peft.tuners.lora.config import BdLoraConfig, KasaConfig
from torch import nn

from gradience.core.audit.report import ModuleStatus
from gradience.core.errors import UnsupportedAdapterError
from tests.adapter_files import findings_of, rows_of
from tests.dense_oracle import assert_same_values
from tests.peft_adapters import (
    Convolutions,
    PeftUpdate,
    adapted,
    assert_rows_are,
    audited,
    randomise,
    save,
    tiny_gpt_oss,
    tiny_mixtral,
    updates,
)
from tests.tiny_models import (
    ATTENTION_AND_MLP,
    GPT2_TARGETS,
    peft_warns,
    tiny_gpt2,
    tiny_llama,
)

pytestmark = [
    peft_warns,
    pytest.mark.filterwarnings(
        "ignore:.*have invalid shape:Warning"
    ),  # of modules pruned to rank 0
]

LLAMA: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": ATTENTION_AND_MLP}
GPT2: dict[str, Any] = {
    "r": 4,
    "lora_alpha": 6,
    "target_modules": GPT2_TARGETS,
    "fan_in_fan_out": True,
}
CONVOLUTIONS: dict[str, Any] = {"r": 3, "target_modules": ["0", "1", "2", "3"]}
PATTERNS = {
    "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 7},
    "alpha_pattern": {"v_proj": 3},
}
QUERIES: dict[str, Any] = {"r": 4, "target_modules": ["q_proj"]}
BOTH_PARAMETERS = ["mlp.experts.down_proj", "mlp.experts.gate_up_proj"]
STACKED = {"experts.gate_up_proj": 5}

KINDS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], int]] = {
    "linear": (tiny_llama, LLAMA, 14),
    "conv1d_of_gpt2": (tiny_gpt2, GPT2, 8),
    "embedding": (tiny_llama, {"r": 4, "target_modules": ["embed_tokens", "q_proj"]}, 3),
    "convolutions": (Convolutions, CONVOLUTIONS, 4),
    "rslora": (tiny_llama, {**LLAMA, "use_rslora": True}, 14),
    "patterns": (tiny_llama, {**LLAMA, **PATTERNS}, 14),
    "patterns_rslora": (tiny_llama, {**LLAMA, **PATTERNS, "use_rslora": True}, 14),
    "dora": (tiny_llama, {**LLAMA, "use_dora": True}, 14),
    "dora_convolutions": (Convolutions, {**CONVOLUTIONS, "use_dora": True}, 4),
    "lora_bias": (tiny_gpt2, {**GPT2, "lora_bias": True}, 8),
    "bias_all": (tiny_gpt2, {**GPT2, "bias": "all"}, 8),
    "modules_to_save": (tiny_llama, {**LLAMA, "modules_to_save": ["lm_head"]}, 14),
    "trainable_tokens": (tiny_llama, {**QUERIES, "trainable_token_indices": [1, 2]}, 2),
    "layer_replication": (tiny_llama, {**QUERIES, "layer_replication": [[0, 2], [0, 1]]}, 3),
    "gaussian": (tiny_llama, {**QUERIES, "init_lora_weights": "gaussian"}, 2),
    "orthogonal": (tiny_llama, {**QUERIES, "init_lora_weights": "orthogonal"}, 2),
    "experts": (tiny_mixtral, {**QUERIES, "target_parameters": BOTH_PARAMETERS}, 18),
    "one_parameter": (tiny_mixtral, {"r": 3, "target_parameters": BOTH_PARAMETERS[:1]}, 8),
    "bare_parameter": (tiny_mixtral, {**QUERIES, "target_parameters": ["gate_up_proj"]}, 10),
    "router": (tiny_mixtral, {"r": 3, "target_parameters": ["gate.weight"]}, 2),
    "experts_pattern": (
        tiny_mixtral,
        {"r": 3, "target_parameters": BOTH_PARAMETERS, "rank_pattern": STACKED},
        16,
    ),
    "transposed_experts": (tiny_gpt_oss, {**QUERIES, "target_parameters": BOTH_PARAMETERS}, 18),
}


def _made(kind: str, folder: Path) -> dict[str, PeftUpdate]:
    base, config, _ = KINDS[kind]
    model = adapted(base(), LoraConfig(**config))
    save(model, folder)
    return updates(model)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match:RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_pefts_delta_weight(kind: str, tmp_path: Path) -> None:
    expected = _made(kind, tmp_path)
    assert len(expected) == KINDS[kind][2]
    report = audited(tmp_path)
    assert_rows_are(report, expected)
    assert report.layout == "PEFT"
    codes = set(findings_of(report)) - {"like_noise"}
    assert codes == ({"dora"} if "dora" in kind else set())


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("dora", {"DoRA magnitude": 14}),
        ("lora_bias", {"bias of a LoRA factor": 8}),
        ("bias_all", {"bias": 5, "copy of a base weight": 8}),
        ("modules_to_save", {"module saved whole": 1}),
        ("trainable_tokens", {"trained token rows": 1}),
    ],
)
def test_what_is_no_factor_is_counted_apart(
    kind: str, others: dict[str, int], tmp_path: Path
) -> None:
    _made(kind, tmp_path)
    assert audited(tmp_path).other_tensors == others


def test_experts_are_rows_of_one_parameter(tmp_path: Path) -> None:
    _made("experts", tmp_path)
    row = rows_of(audited(tmp_path))["model.layers.1.mlp.experts.gate_up_proj[3]"]
    assert (row.module, row.expert) == ("model.layers.1.mlp.experts.gate_up_proj", 3)
    assert (row.a_shape, row.b_shape, row.r) == ((4, 16), (48, 4), 4)
    assert (row.module_type, row.layer_name) == ("mlp", "model.layers.1")


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match:RuntimeWarning")
def test_a_pattern_gives_one_parameter_its_rank(tmp_path: Path) -> None:
    _made("experts_pattern", tmp_path)
    ranks = {row.module.rpartition(".")[2]: row.r for row in rows_of(audited(tmp_path)).values()}
    assert ranks == {"gate_up_proj": 5, "down_proj": 3}


@pytest.mark.parametrize("adapter", ["default", "my-adapter", "weight_a"])
def test_a_saved_adapter_of_any_name_is_read(adapter: str, tmp_path: Path) -> None:
    model = adapted(tiny_llama(), LoraConfig(**QUERIES))
    model.add_adapter("my-adapter", LoraConfig(r=3, target_modules=["v_proj"]))
    model.add_adapter("weight_a", LoraConfig(r=2, target_modules=["k_proj"]))
    randomise(model)
    save(model, tmp_path)
    folder = tmp_path if adapter == "default" else tmp_path / adapter
    assert_rows_are(audited(folder), updates(model, adapter))


def _adalora(folder: Path, steps: int, prune: bool) -> Any:  # noqa: ANN401, FBT001  peft is untyped
    config = AdaLoraConfig(
        init_r=4, target_r=1, lora_alpha=6, tinit=1, tfinal=1, deltaT=1, total_step=steps,
        target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM",
    )  # fmt: skip
    model = adapted(tiny_llama(), config)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    tokens = torch.arange(16).reshape(2, 8)
    for step in range(steps if prune else 1):
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    save(model, folder)
    return model


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LoHaConfig(r=2, target_modules=["q_proj"]), "LOHA"),
        (LoKrConfig(r=2, target_modules=["q_proj"]), "LOKR"),
        (IA3Config(target_modules=["q_proj"], feedforward_modules=[]), "IA3"),
        (VeraConfig(r=2, target_modules=["q_proj"]), "VERA"),
        (LoraConfig(**QUERIES, use_bdlora=BdLoraConfig(["q_proj"], nblocks=2)), "use_bdlora"),
        (LoraConfig(**QUERIES, kasa_config=KasaConfig()), "kasa_config"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_methods_as_peft_saves_them_are_declined(
    config: PeftConfig, name: str, tmp_path: Path
) -> None:
    save(adapted(tiny_llama(), config), tmp_path)
    with pytest.raises(UnsupportedAdapterError, match=f"found (peft_type )?{name}, which "):
        audited(tmp_path)


@pytest.mark.parametrize("prune", [False, True])
def test_adalora_is_b_times_e_times_a(tmp_path: Path, *, prune: bool) -> None:
    found = updates(_adalora(tmp_path, 5, prune))
    report = audited(tmp_path)
    assert report.peft_type == "ADALORA"
    rows = rows_of(report)
    assert set(rows) == set(found)
    for name, row in rows.items():
        assert row.scale == pytest.approx(6 / (4 + 1e-5), rel=1e-15)
        sigma = np.linalg.svd(found[name].delta, compute_uv=False)
        if row.status is ModuleStatus.PRUNED:
            assert not sigma.any()
        else:
            assert_same_values(np.array(row.top_singular_values), sigma.astype(np.float64))
    assert report.other_tensors == {}


def test_modules_that_adalora_pruned_are_told(tmp_path: Path) -> None:
    _adalora(tmp_path, 5, prune=True)
    report = audited(tmp_path)
    rows = rows_of(report).values()
    pruned = {row.name for row in rows if row.status is ModuleStatus.PRUNED}
    assert pruned
    assert sum(row.r for row in rows) == 6  # target_r for each of six modules
    finding = findings_of(report)["pruned_modules"]
    assert set(finding.modules) == pruned
    assert f"AdaLoRA pruned {len(pruned)} of 6 modules to rank 0" in finding.message


def _moved(init: str, folder: Path, initial: Path) -> dict[str, PeftUpdate]:
    """A trained adapter and its first state; the update is s·(B·A - B₀·A₀)."""
    model = adapted(
        tiny_llama(), LoraConfig(**{**QUERIES, "lora_alpha": 6, "init_lora_weights": init})
    )
    save(model, initial)
    before = {name: update.delta for name, update in updates(model).items()}
    model.float()
    randomise(model, seed=1)
    save(model, folder)
    return {
        name: PeftUpdate(update.delta - before[name], update.scale)
        for name, update in updates(model).items()
    }


@pytest.mark.parametrize("init", ["pissa", "olora", "pissa_niter_4"])
def test_moved_base_weight_is_taken_away(init: str, tmp_path: Path) -> None:
    expected = _moved(init, tmp_path / "trained", tmp_path / "first")
    report = audited(tmp_path / "trained", initial_adapter=tmp_path / "first")
    assert_rows_are(report, expected)
    finding = findings_of(report)["initial_subtracted"]
    assert f"{init} moved base weight into the factors" in finding.message
    assert "first" in finding.message
    assert "from 2 modules" in finding.message


@pytest.mark.parametrize(
    ("init", "name"),
    [("pissa", "pissa_init"), ("olora", "olora_init"), ("pissa_niter_4", "pissa_init")],
)
def test_the_initial_adapter_is_found_beside(init: str, name: str, tmp_path: Path) -> None:
    expected = _moved(init, tmp_path, tmp_path / name)
    assert_rows_are(audited(tmp_path), expected)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_moved_base_weight_is_refused_without_the_initial_adapter(
    init: str, tmp_path: Path
) -> None:
    _moved(init, tmp_path / "trained", tmp_path / "first")
    words = rf"'{init}' moves part of the base weight.*--initial-adapter"
    with pytest.raises(UnsupportedAdapterError, match=words):
        audited(tmp_path / "trained")
