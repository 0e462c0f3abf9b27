"""How PEFT turns targets named for transformers 4 into those of experts that version 5 stacks."""

import re
from collections.abc import Mapping

import attrs

from gradience.core.architecture.adapter_settings import AdapterSettings
from gradience.core.architecture.matching import Matcher
from gradience.core.architecture.modules import Architecture

_MIXTRAL = {"gate": "gate.weight", "w1": "gate_up_proj", "w3": "gate_up_proj", "w2": "down_proj"}
_QWEN2_MOE = {
    "gate": "gate.weight",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
    "down_proj": "down_proj",
}
_AS_QWEN2_MOE = (
    "Dots3NoteTextModel", "UnlimitedOcrTextModel", "afmoe", "beam", "cohere2_moe", "deepseek_v2",
    "deepseek_v3", "deepseek_v32", "dots1", "ernie4_5_moe", "exaone_moe", "flex_olmo", "glm4_moe",
    "glm4_moe_lite", "glm4v_moe", "glm_moe_dsa", "hunyuan_v1_moe", "longcat_flash", "mellum",
    "olmoe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen3_omni_moe_text",
    "qwen3_omni_moe_thinker", "solar_open",
)  # fmt: skip
RENAMED_TARGETS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("mixtral", "minimax", "minimax_m2"), _MIXTRAL),
    **dict.fromkeys(_AS_QWEN2_MOE, _QWEN2_MOE),
}
"""Model type → old target → parameter (sources: PEFT 0.21, transformers_weight_conversion.py;
transformers 5.23, conversion_mapping.py)."""

FUSED = "gate_up_proj"
"""The parameter that two old targets share."""


@attrs.frozen(kw_only=True)
class FusedTargets:
    """An adapter's settings after the conversion."""

    adapter: AdapterSettings
    parameters_of: Mapping[str, str] = attrs.field(factory=dict)
    """Written target → the parameter that it stands for now."""


def fused_targets(
    adapter: AdapterSettings, architecture: Architecture, all_linear: frozenset[str]
) -> FusedTargets | str:
    """The settings with targets for the stacked parameters, where the model type has such.

    The rank and alpha of a parameter that two old targets share are twice the adapter's.

    Args:
        adapter: The settings as written.
        architecture: The model.
        all_linear: Full names of what ``all-linear`` stands for in it.

    Returns:
        The converted settings, or why PEFT refuses them.

    Raises:
        ConfigError: A pattern is no expression, or one without a bound.

    References:
        PEFT 0.21, ``_convert_peft_config_moe``.
    """
    renamed = RENAMED_TARGETS.get(architecture.model_type)
    if renamed is None:
        return FusedTargets(adapter=adapter)
    targets = _names(adapter, architecture, all_linear, renamed)
    if isinstance(adapter.lora.target_modules, str) and not targets:
        return FusedTargets(adapter=adapter)
    olds = {target: _old_name(target, renamed) for target in targets}
    parameters_of = {target: renamed[old] for target, old in olds.items() if old is not None}
    needed = {old for old, new in renamed.items() if new == FUSED}
    present = {old for old in olds.values() if old in needed}
    if present and present != needed:
        return (
            f"PEFT refuses the target {', '.join(sorted(present))} without "
            f"{', '.join(sorted(needed - present))}: transformers 5 fuses them into {FUSED}"
        )
    lora = adapter.lora
    if present:
        key = rf".*\.{re.escape(FUSED)}"
        lora = attrs.evolve(
            lora,
            rank_pattern={**lora.rank_pattern, key: lora.r * len(needed)},
            alpha_pattern={**lora.alpha_pattern, key: lora.lora_alpha * len(needed)},
        )
    lora = attrs.evolve(
        lora,
        target_modules=tuple(target for target in targets if olds[target] is None),
        target_parameters=tuple({*lora.target_parameters, *parameters_of.values()}),
    )
    return FusedTargets(adapter=attrs.evolve(adapter, lora=lora), parameters_of=parameters_of)


def _old_name(target: str, renamed: Mapping[str, str]) -> str | None:
    return next((old for old in renamed if target == old or target.endswith(f".{old}")), None)


def _names(
    adapter: AdapterSettings,
    architecture: Architecture,
    all_linear: frozenset[str],
    renamed: Mapping[str, str],
) -> tuple[str, ...]:
    """The targets as names: a list as it stands, an expression as the last parts it matches."""
    targets = adapter.lora.target_modules
    if not isinstance(targets, str):
        return tuple(dict.fromkeys(targets or ()))
    if adapter.targets_all_linear:
        return tuple({name.rpartition(".")[2] for name in all_linear} | renamed.keys())
    matcher = Matcher(adapter)
    parameters = [
        f"{module.name}.{each.name}"
        for module in architecture.modules
        for each in module.parameters
    ]
    names = (*architecture.containers(), *(each.name for each in architecture.modules), *parameters)
    found = {name.rpartition(".")[2] for name in names if matcher.targeted(name)}
    for old, new in renamed.items():
        places = (name.rpartition(".") for name in parameters)
        candidates = {place for place, _, leaf in places if leaf == new}
        if any(matcher.targeted(f"{place}.{old}") for place in candidates):
            found.add(old)
    return tuple(found)
