"""diffusers' layouts: ``unet.<path>.lora_A.weight``, and the older ``.lora.up.weight`` forms."""

import re
from collections.abc import Mapping, Sequence

from gradience.core.adapter.pairing import A_SIDE, B_SIDE, Factor, pair_factors
from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config
from gradience.core.adapter.scaling import (
    ModuleScaling,
    lora_scaling,
    module_scaling,
    scaling_of_alpha,
)
from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    AdapterContents,
    LoraPair,
    TensorInfo,
    TensorKind,
)
from gradience.core.errors import ConfigError
from gradience.core.json_text import parse_json
from gradience.core.numbers import counted

DIFFUSERS_LAYOUT = "diffusers"

METADATA_KEY = "lora_adapter_metadata"
"""Where diffusers keeps each component's LoraConfig in the file's header (a JSON string)."""

COMPONENT = (
    r"(?:unet|transformer(?:_\d)?|text_encoder(?:_\d)?|diffusion_model|denoiser|prior|controlnet"
    r"|vae)"
)

_NEW = re.compile(r"^(?P<module>.+)\.lora_(?P<side>[AB])(?:\.(?!weight$)[^.]+)?\.weight$")
_OLD = re.compile(
    r"^(?P<module>.+?)(?:\.lora|_lora|\.lora_linear_layer)\.(?P<side>up|down)\.weight$"
)
_ALPHA = re.compile(r"^(?P<module>.+?)(?:\.lora|_lora|\.lora_linear_layer)?\.alpha$")
_PROCESSOR = re.compile(r"\.processor(?=\.)")
_SIDES = {"A": A_SIDE, "down": A_SIDE, "B": B_SIDE, "up": B_SIDE}


def read_diffusers(
    tensors: Sequence[TensorInfo], scalars: Mapping[str, float], metadata: Mapping[str, str]
) -> AdapterContents:
    """Pairs the factors of a diffusers file, of either form.

    The scale is that of the component's configuration in the file's header; else alpha / rank
    where a module has an alpha tensor; else 1, as diffusers loads it.

    Args:
        tensors: The tensors of the file.
        scalars: Values of its one-element tensors.
        metadata: The header's ``__metadata__``.

    Returns:
        The pairs, under names that begin with the component (``unet.down_blocks.0…``).

    Raises:
        ConfigError: The configuration in the header does not read.
    """
    factors: list[Factor] = []
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = _NEW.match(tensor.name) or _OLD.match(tensor.name)
        if match is None or len(tensor.shape) < MATRIX_DIMENSIONS:
            others.append((tensor, _kind(tensor.name)))
        else:
            factors.append(Factor(_module(match["module"]), _SIDES[match["side"]], tensor))
    alphas = {_module(m["module"]): x for name, x in scalars.items() if (m := _ALPHA.match(name))}
    configs = _component_configs(metadata)
    pairing = pair_factors(factors)
    unscaled = [m for m in pairing.complete if m not in alphas and _component(m) not in configs]
    return AdapterContents(
        layout=DIFFUSERS_LAYOUT,
        pairs=tuple(
            LoraPair(module, a, b, _scaling(module, a.shape[0], configs, alphas))
            for module, (a, b) in pairing.complete.items()
        ),
        incomplete=pairing.incomplete,
        others=tuple(others),
        notes=(_unscaled_note(len(unscaled)),) if unscaled else (),
    )


def _unscaled_note(count: int) -> str:
    return (
        f"{counted(count, 'module')} without an alpha tensor or a configuration in the header; "
        "diffusers scales by 1"
    )


def _module(path: str) -> str:
    return _PROCESSOR.sub("", path)


def _component(module: str) -> str:
    return module.partition(".")[0]


def _scaling(
    module: str, r: int, configs: Mapping[str, PeftLoraConfig], alphas: Mapping[str, float]
) -> ModuleScaling:
    config = configs.get(_component(module))
    if config is None:
        return scaling_of_alpha(alphas.get(module), r)
    found = module_scaling(config, module.partition(".")[2])
    scale = lora_scaling(found.alpha, max(r, 1), use_rslora=config.use_rslora)
    return ModuleScaling(found.r, found.alpha, scale)


def _component_configs(metadata: Mapping[str, str]) -> dict[str, PeftLoraConfig]:
    """``{"unet.r": 8, "unet.lora_alpha": 4, …}`` → component → configuration."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        return {}
    try:
        values = parse_json(text.encode())
    except ValueError as error:
        raise ConfigError(f"metadata {METADATA_KEY}: expected JSON, found: {error}") from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"metadata {METADATA_KEY}: expected an object, found {values!r}")
    sections: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        component, _, field = str(key).partition(".")
        sections.setdefault(component, {"peft_type": "LORA"})[field] = value
    return {
        component: peft_lora_config(section, f"metadata {METADATA_KEY}, {component}")
        for component, section in sections.items()
    }


def _kind(name: str) -> TensorKind:
    if name.endswith(".alpha"):
        return TensorKind.SCALING
    if "lora_magnitude_vector" in name or name.endswith(".dora_scale"):
        return TensorKind.DORA_MAGNITUDE
    if re.search(r"\.lora_[AB]\b.*\.bias$", name):
        return TensorKind.LORA_BIAS
    if re.search(r"[._]lora[._]", name):
        return TensorKind.UNREAD_FACTOR
    return TensorKind.BIAS if name.endswith(".bias") else TensorKind.SAVED_MODULE
