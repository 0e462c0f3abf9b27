"""Adapters that PEFT makes of tiny models, saves, and multiplies out itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftConfig, get_peft_model
from torch import nn

from gradience.api import audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport
from tests.adapter_files import rows_of
from tests.dense_oracle import assert_same_values

Floats = NDArray[np.float64]

ALL_VALUES = 64
"""More singular values than any of these updates has."""


EXPERTS = 4

_TINY: Mapping[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}


class PeftUpdate(NamedTuple):
    """An update as PEFT computes it, in float64, and the scale that PEFT gives it."""

    delta: Floats
    """(d_out, d_in), the kernel of a convolution flattened."""
    scale: float


class Convolutions(nn.Module):
    """One convolution of each dimensionality; the last has 1 x 1 kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv1d(6, 8, 3), nn.Conv2d(5, 7, (3, 2)), nn.Conv3d(3, 4, 2), nn.Conv2d(6, 9, 1)]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The first layer alone: nothing here is run."""
        found: torch.Tensor = self.layers[0](x)
        return found


def adapted(base: nn.Module, config: PeftConfig, seed: int = 0) -> Any:  # noqa: ANN401  peft is untyped
    """A PEFT model with random factors, as after training."""
    model = get_peft_model(base, config)
    randomise(model, seed)
    return model


def tiny_mixtral() -> nn.Module:
    """Two layers of four experts, whose weights are stacked to (experts, d_out, d_in)."""
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(MixtralConfig(num_local_experts=EXPERTS, **_TINY))


def tiny_gpt_oss() -> nn.Module:
    """The same with stacks of (experts, d_in, d_out), ``is_transposed`` in transformers."""
    from transformers import GptOssConfig, GptOssForCausalLM

    rope = {"rope_type": "default", "rope_theta": 1e4}
    return GptOssForCausalLM(
        GptOssConfig(num_local_experts=EXPERTS, head_dim=4, rope_parameters=rope, **_TINY)
    )


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Gaussian values in every LoRA parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def save(model: Any, folder: Path) -> Path:  # noqa: ANN401  peft is untyped
    """Saves adapter_config.json and adapter_model.safetensors as users do."""
    model.save_pretrained(str(folder))
    return folder


def updates(model: nn.Module, adapter: str = "default") -> dict[str, PeftUpdate]:
    """Row → PEFT's own delta weight: of a module, or of one expert of a parameter."""
    found: dict[str, PeftUpdate] = {}
    for name, layer in model.double().named_modules():
        if not hasattr(layer, "get_delta_weight") or adapter not in layer.scaling:
            continue
        path = name.removeprefix("base_model.model.").replace(".base_layer", "")
        delta, scale = layer.get_delta_weight(adapter).detach().numpy(), layer.scaling[adapter]
        parameter = getattr(layer, "parameter_name", None)
        row = path if parameter is None else f"{path}.{parameter}"
        if getattr(layer, "num_experts", 1) == 1:
            found[row] = PeftUpdate(delta.reshape(delta.shape[0], -1), scale)
        else:
            for expert, part in enumerate(delta):
                found[f"{row}[{expert}]"] = PeftUpdate(part, scale)
    return found


def audited(folder: Path, **options: Any) -> AuditReport:  # noqa: ANN401  the audit's own options
    """The audit with its rows and every singular value."""
    policy = AuditPolicy(layers=True)
    return audit(folder, policy=policy, top_singular_values=ALL_VALUES, **options)


def assert_rows_are(report: AuditReport, expected: Mapping[str, PeftUpdate]) -> None:
    """One row for each update, with PEFT's scale and the singular values of the delta weight."""
    rows = rows_of(report)
    assert set(rows) == set(expected)
    for name, update in expected.items():
        assert rows[name].scale == update.scale, name
        sigma = np.linalg.svd(update.delta, compute_uv=False).astype(np.float64)
        assert_same_values(np.array(rows[name].top_singular_values), sigma)
