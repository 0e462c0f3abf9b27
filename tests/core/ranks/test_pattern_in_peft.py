"""A suggested rank_pattern means to PEFT what it says: every module's rank is read back."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from gradience.api import audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.ranks.suggest import RankSuggestions, pattern_for
from tests.adapter_files import factors, write_modules
from tests.tiny_models import lora_layers, peft_warns, tiny_gpt2, tiny_llama

pytestmark = [
    peft_warns,
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),
]

DEFAULT = 3
RANKS = (1, 2, 4, 5, 6, 7, 8)
TIED_HEADS = ("lm_head", "proj_out")


def _distilbert() -> PreTrainedModel:
    config = DistilBertConfig(vocab_size=32, dim=16, n_layers=2, n_heads=2, hidden_dim=24)
    return DistilBertForSequenceClassification(config)


def _vit() -> PreTrainedModel:
    return ViTForImageClassification(
        ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            image_size=8,
            patch_size=4,
        )
    )


def _whisper() -> PreTrainedModel:
    return WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=64,
            num_mel_bins=8,
            d_model=16,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=24,
            decoder_ffn_dim=24,
            max_source_positions=16,
            max_target_positions=16,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        )
    )


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": tiny_llama,
    "gpt2": tiny_gpt2,
    "distilbert": _distilbert,
    "vit": _vit,
    "whisper": _whisper,
}


@pytest.fixture(params=MODELS)
def build(request: pytest.FixtureRequest) -> Callable[[], PreTrainedModel]:
    return MODELS[request.param]


def _targets(model: torch.nn.Module) -> list[str]:
    """Every linear layer but a tied head, GPT-2's transposed ones among them."""
    from transformers.pytorch_utils import Conv1D

    kinds = (torch.nn.Linear, Conv1D)
    layers = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    return [name for name in layers if name not in TIED_HEADS]


def _ranks_in_peft(
    model: torch.nn.Module, default: int, pattern: Mapping[str, int]
) -> dict[str, int]:
    """The rank that PEFT gave to each module."""
    config = LoraConfig(r=default, rank_pattern=dict(pattern), target_modules=_targets(model))
    layers = lora_layers(get_peft_model(model, config))
    return {name: layer.r["default"] for name, layer in layers.items()}


def test_each_module_gets_its_own_rank(build: Callable[[], PreTrainedModel]) -> None:
    model = build()
    wanted = dict(zip(_targets(model), itertools.cycle(RANKS), strict=False))
    assert len(wanted) >= 8
    assert _ranks_in_peft(model, DEFAULT, pattern_for(wanted, wanted)) == wanted


def test_one_key_is_of_one_module(build: Callable[[], PreTrainedModel]) -> None:
    names = _targets(build())
    for name in names[:: max(1, len(names) // 4)]:
        found = _ranks_in_peft(build(), DEFAULT, pattern_for({name: 8}, names))
        assert found == {**dict.fromkeys(names, DEFAULT), name: 8}


class _Nested(torch.nn.Module):
    """Names that are endings of other names, and such that hold characters of expressions."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = torch.nn.Linear(8, 8)
        self.inner = torch.nn.ModuleDict(
            {
                "proj": torch.nn.Linear(8, 8),
                "inner": torch.nn.ModuleDict({"proj": torch.nn.Linear(8, 8)}),
                "a+b": torch.nn.Linear(8, 8),
                "aab": torch.nn.Linear(8, 8),
                "(x|y)": torch.nn.Linear(8, 8),
                "xproj": torch.nn.Linear(8, 8),
                "inner_proj": torch.nn.Linear(8, 8),
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.proj(x))


@pytest.mark.parametrize(
    "chosen",
    [
        ["proj"],
        ["inner.proj"],
        ["inner.inner.proj"],
        ["proj", "inner.proj"],
        ["inner.a+b"],
        ["inner.aab"],
        ["inner.(x|y)"],
    ],
    ids=str,
)
def test_endings_of_other_names_and_special_characters(chosen: list[str]) -> None:
    names = _targets(_Nested())
    ranks = {name: 5 + place for place, name in enumerate(chosen)}
    found = _ranks_in_peft(_Nested(), DEFAULT, pattern_for(ranks, names))
    assert found == {**dict.fromkeys(names, DEFAULT), **ranks}


def _graded(model: torch.nn.Module, folder: Path) -> Path:
    """An adapter of the model whose modules use 1, 2, 3 … of their 8 directions."""
    modules = {}
    for place, name in enumerate(_targets(model)):
        weight = model.get_submodule(name).get_parameter("weight")
        d_out, d_in = weight.shape
        a, b = factors(r=8, d_in=d_in, d_out=d_out, seed=place)
        grades = np.where(np.arange(8) <= place % 8, 1.0, 1e-3).astype(np.float32)
        modules[name] = (a, b * grades)
    return write_modules(folder, modules, r=8)


def test_suggestions_of_an_audit_are_taken(
    build: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    folder = _graded(build(), tmp_path)
    report = audit(
        folder,
        rank_policies=["budget@0.5"],
        policy=AuditPolicy(layers=True, suggest_per_layer=True),
    )
    suggested = report.rank_suggestions
    assert isinstance(suggested, RankSuggestions)
    assert suggested.default_r is not None
    wanted = {layer.name: layer.suggested_r for layer in suggested.layers}
    assert len(set(wanted.values())) > 2
    assert _ranks_in_peft(build(), suggested.default_r, suggested.rank_pattern) == wanted
    assert not isinstance(report.budgets, msgspec.UnsetType)
    (budget,) = report.budgets
    assert budget.default_r is not None
    assert len(set(budget.plan.ranks.values())) > 2
    found = _ranks_in_peft(build(), budget.default_r, budget.rank_pattern)
    assert found == budget.plan.ranks
