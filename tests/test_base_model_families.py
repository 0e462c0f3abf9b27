"""UDR through the public audit: each row's base norms are those of the very weight PEFT adapted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from peft import LoraConfig
from safetensors import safe_open
from torch import nn

from gradience.core.audit.report import AuditReport, LayerRow
from tests.adapter_files import findings_of, rows_of
from tests.peft_adapters import PeftUpdate, adapted, audited, save, tiny_mixtral, updates
from tests.tiny_models import ATTENTION_AND_MLP, GPT2_TARGETS, peft_warns, tiny_gpt2, tiny_llama

pytestmark = [
    peft_warns,
    pytest.mark.filterwarnings("ignore:.*tied:UserWarning"),
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning"),
]

Config = dict[str, Any]
Floats = NDArray[np.float64]
Base = Callable[[], nn.Module]

SIGMA_TOLERANCE, FRO_TOLERANCE = 1e-4, 1e-6
"""What is promised of ‖W‖₂, and the rounding of float32 in an exact ‖W‖_F."""

TOP, THRESHOLD = 10, 0.5
"""PEFT's defaults of an intruder dimension."""

ENCODER: Config = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
TOKENS: Config = {"vocab_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
EXPERTS: Config = {
    "target_modules": ["q_proj"],
    "target_parameters": ["mlp.experts.down_proj", "mlp.experts.gate_up_proj"],
}


class Case(NamedTuple):
    """A base model, and what of it is adapted."""

    base: Base
    lora: Config
    rows: int
    stored: str = ""
    """A key of the checkpoint that is no name in memory."""
    absent: str = ""
    """A key that it lacks."""


def _model(name: str, **settings: Any) -> Base:  # noqa: ANN401  transformers' settings
    def build() -> nn.Module:
        model_class = getattr(transformers, name)
        model: nn.Module = model_class(model_class.config_class(**settings))
        return model

    return build


BERT = _model("BertForSequenceClassification", **ENCODER, **TOKENS, num_labels=3)
VIT = _model("ViTForImageClassification", **ENCODER, image_size=8, patch_size=4)
WHISPER = _model(
    "WhisperForConditionalGeneration", **TOKENS, d_model=16, encoder_layers=2, decoder_layers=2,
    encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
    decoder_start_token_id=1,
)  # fmt: skip
T5 = _model(
    "T5ForConditionalGeneration", vocab_size=32, d_model=16, d_kv=4, d_ff=24, num_layers=2,
    num_heads=4, tie_word_embeddings=True,
)  # fmt: skip
GPT_OSS = _model(
    "GptOssForCausalLM", **(ENCODER | {"intermediate_size": 16}), **TOKENS, num_local_experts=3,
    num_key_value_heads=2, head_dim=4,
    rope_parameters={"rope_type": "default", "rope_theta": 1e4},
)  # fmt: skip

CASES: dict[str, Case] = {
    "llama": Case(tiny_llama, {"target_modules": ATTENTION_AND_MLP}, 14),
    "llama_embedding": Case(tiny_llama, {"target_modules": ["embed_tokens", "lm_head"]}, 2),
    "gpt2": Case(tiny_gpt2, {"target_modules": GPT2_TARGETS, "fan_in_fan_out": True}, 8),
    "bert": Case(BERT, {"target_modules": ["query", "value", "dense", "classifier"]}, 12),
    "vit": Case(
        VIT,
        {"target_modules": ["q_proj", "v_proj", "o_proj", "fc1", "fc2"]},
        10,
        stored="vit.encoder.layer.0.attention.attention.query.weight",
    ),
    "whisper": Case(
        WHISPER,
        {"target_modules": ["q_proj", "out_proj", "fc1", "fc2", "conv2", "proj_out"]},
        22,
        absent="proj_out.weight",
    ),
    "t5_tied_head": Case(
        T5, {"target_modules": ["q", "o", "wi", "wo", "lm_head"]}, 21, absent="lm_head.weight"
    ),
    "mixtral": Case(
        tiny_mixtral, EXPERTS, 18, stored="model.layers.0.block_sparse_moe.experts.0.w1.weight"
    ),
    "router": Case(tiny_mixtral, {"target_parameters": ["mlp.gate.weight"]}, 2),
    "gpt_oss": Case(GPT_OSS, EXPERTS, 14),
    "layer_replication": Case(
        tiny_llama,
        {"target_modules": ATTENTION_AND_MLP, "layer_replication": [[0, 2], [1, 2], [0, 1]]},
        28,
        absent="model.layers.2.mlp.up_proj.weight",
    ),
}


class Audited(NamedTuple):
    """An audit, and what it must have found."""

    report: AuditReport
    weights: dict[str, Floats]
    """Row → the weight as PEFT holds it."""
    updates: dict[str, PeftUpdate]


def _audited(case: Case, folder: Path, *, intruders: bool = False) -> Audited:
    """Base and adapter go through the disk; what is expected comes from the model in memory."""
    torch.manual_seed(0)
    base = case.base()
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_()
    base.save_pretrained(folder / "base")  # type: ignore[operator]  # transformers' method
    model = adapted(base, LoraConfig(r=4, lora_alpha=6, **case.lora))
    save(model, folder / "adapter")
    weights = dict(_weights(model))
    report = audited(folder / "adapter", base_model=str(folder / "base"), intruders=intruders)
    return Audited(report, weights, updates(model))


def _weights(model: nn.Module) -> Iterator[tuple[str, Floats]]:
    for name, layer in model.named_modules():
        if not hasattr(layer, "get_delta_weight"):
            continue
        row = name.removeprefix("base_model.model.").replace(".base_layer", "")
        parameter = getattr(layer, "parameter_name", None)
        weight = getattr(layer.get_base_layer(), parameter or "weight").detach().double().numpy()
        if parameter is None or weight.ndim == 2:
            row = row if parameter is None else f"{row}.{parameter}"
            yield row, weight.reshape(len(weight), -1)
        else:
            for expert, part in enumerate(weight):
                yield f"{row}.{parameter}[{expert}]", part


@pytest.mark.parametrize("family", CASES)
def test_every_row_is_against_the_weight_that_was_adapted(family: str, tmp_path: Path) -> None:
    case = CASES[family]
    found = _audited(case, tmp_path)
    rows = rows_of(found.report)
    assert set(rows) == set(found.weights) == set(found.updates)
    assert len(rows) == found.report.n_layers_with_udr == case.rows
    assert "no_base_norm" not in findings_of(found.report)
    for name, row in rows.items():
        _assert_measured(row, found.weights[name], found.updates[name].delta)
    with safe_open(tmp_path / "base" / "model.safetensors", "np") as file:
        keys = set(file.keys())
    assert case.absent not in keys
    assert not case.stored or case.stored in keys


def _assert_measured(row: LayerRow, weight: Floats, delta: Floats) -> None:
    sigma, fro = np.linalg.norm(weight, 2), np.linalg.norm(weight)
    udr = np.linalg.norm(delta, 2) / sigma
    assert row.base_sigma_max == pytest.approx(sigma, rel=SIGMA_TOLERANCE), row.name
    assert row.base_fro_norm == pytest.approx(fro, rel=FRO_TOLERANCE), row.name
    assert row.udr == pytest.approx(udr, rel=SIGMA_TOLERANCE), row.name
    assert row.udr_f == pytest.approx(np.linalg.norm(delta) / fro, rel=FRO_TOLERANCE), row.name
    assert row.sdi == pytest.approx(np.log10(udr), abs=SIGMA_TOLERANCE), row.name


@pytest.mark.parametrize(
    ("family", "stored_turned"),
    [("llama", ""), ("gpt2", "transformer."), ("mixtral", ""), ("gpt_oss", "experts")],
)
def test_intruder_dimensions_are_those_of_dense_decompositions(
    family: str, stored_turned: str, tmp_path: Path
) -> None:
    found = _audited(CASES[family], tmp_path, intruders=True)
    for name, row in rows_of(found.report).items():
        weight, delta = found.weights[name], found.updates[name].delta
        if stored_turned and stored_turned in name:  # (d_in, d_out) in the model
            weight, delta = weight.T, delta.T
        values, indices = _dense_intruders(weight, weight + delta)
        assert row.intruders is not None, name
        assert row.intruders.n_undecided == 0, name
        assert row.intruders.indices == indices, name
        shown = [direction.singular_value for direction in row.intruders.directions]
        np.testing.assert_allclose(shown, values, rtol=1e-4, err_msg=name)


def _dense_intruders(before: Floats, after: Floats) -> tuple[Floats, tuple[int, ...]]:
    known, _, _ = np.linalg.svd(before, full_matrices=False)
    vectors, values, _ = np.linalg.svd(after, full_matrices=False)
    cosines = np.abs(known.T @ vectors[:, :TOP]).max(axis=0)
    return values[:TOP], tuple(np.flatnonzero(cosines < THRESHOLD).tolist())
