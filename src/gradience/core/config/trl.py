"""Configurations of TRL's command line and of the alignment handbook."""

from collections.abc import Mapping

from gradience.core.config.defaults import with_defaults
from gradience.core.config.objectives import REWARD, trl_objective
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.config.trainer_arguments import (
    TRAINER,
    TrainerArguments,
    trainer_defaults,
    trainer_optimizer,
    trainer_training,
)
from gradience.core.config.trl_defaults import TRL_FULL, TRL_LORA, TRL_MODEL, trl_rate
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    FULL_TYPE,
    LORA_TYPE,
    Names,
    bitsandbytes,
    data_sets,
    dtype_name,
    finetuning_type,
    module_names,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

TRL = "trl"

QUANT_TYPE = "nf4"
"""TRL's ``bnb_4bit_quant_type`` where nothing is said."""


class TrlConfig(TrainerArguments, frozen=True, kw_only=True):
    """The keys of TRL's ModelConfig and ScriptArguments beside the Trainer's."""

    model_name_or_path: str | None = None
    dtype: str | None = None
    torch_dtype: str | None = None
    """The older name of ``dtype``."""
    use_peft: bool | None = None
    lora_r: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_target_modules: Names = None
    lora_target_parameters: Names = None
    lora_modules_to_save: Names = None
    lora_task_type: str | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    load_in_4bit: bool | None = None
    load_in_8bit: bool | None = None
    bnb_4bit_quant_type: str | None = None
    use_bnb_nested_quant: bool | None = None
    dataset_name: str | None = None
    dataset_mixer: dict[str, object] | None = None
    """The alignment handbook's older list: data set → share."""
    dataset_mixture: dict[str, object] | None = None
    datasets: list[object] | None = None
    """TRL's own list of data sets."""


def trl_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a TRL configuration.

    The file does not name the trainer; the keys that only one of them has do. Where none stands
    in it, the objective and the default rate stay unknown.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, TrlConfig, place, TRL)
    config = taken.settings
    objective = trl_objective(raw)
    if objective is None and config.lora_task_type == "SEQ_CLS":
        objective = REWARD
    base = bitsandbytes(
        four=config.load_in_4bit,
        eight=config.load_in_8bit,
        quant_type=config.bnb_4bit_quant_type or QUANT_TYPE,
        double_quant=config.use_bnb_nested_quant,
    )
    adapts = _adapts(config)
    weights = dtype_name(config.dtype or config.torch_dtype)
    bits = base.get("bits") if base else None
    method = finetuning_type(LORA_TYPE, bits if isinstance(bits, int) else None)
    extras = {"objective": objective, "parameter_dtype": None if adapts else weights}
    found = ConfigSnapshot(
        model_name=public_name(config.model_name_or_path),
        dataset_name=_data_sets(config),
        optimizer=trainer_optimizer(config),
        lora=_lora(config) if adapts else LoraSnapshot(),
        training=trainer_training(config, raw, extras),
        extras=given(
            {
                "tool": TRL,
                "finetuning": method if adapts else FULL_TYPE if config.use_peft is False else None,
                "quantization": base,
                "model_dtype": weights,
                "unread": list(taken.unread) or None,
            }
        ),
    )
    found = with_defaults(found, TRL_LORA if adapts else TRL_FULL, TRL_MODEL)
    rate = trl_rate(objective)
    found = with_defaults(found, rate.values, rate.tool)
    return with_defaults(found, trainer_defaults(found.training), TRAINER)


def _adapts(config: TrlConfig) -> bool:
    """Whether an adapter is trained: a file that sets one up means to, if it does not refuse."""
    if config.use_peft is not None:
        return config.use_peft
    return any(
        value is not None
        for value in (config.lora_r, config.lora_alpha, config.lora_target_modules)
    )


def _lora(config: TrlConfig) -> LoraSnapshot:
    return LoraSnapshot(
        r=config.lora_r,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        target_modules=target_modules(config.lora_target_modules),
        extras=given(
            {
                "use_rslora": config.use_rslora,
                "use_dora": config.use_dora,
                "task_type": config.lora_task_type,
                "modules_to_save": list(module_names(config.lora_modules_to_save)) or None,
                "target_parameters": list(module_names(config.lora_target_parameters)) or None,
            }
        ),
    )


def _data_sets(config: TrlConfig) -> str | None:
    """The names of one data set or of a mixture, in the order of the file."""
    mixed = config.datasets or (config.dataset_mixture or {}).get("datasets")
    entries = mixed if isinstance(mixed, list) else []
    names: list[str | None] = [config.dataset_name, *(config.dataset_mixer or {})]
    for entry in entries:
        found = [entry.get(key) for key in ("id", "path")] if isinstance(entry, Mapping) else []
        names += [name for name in found if isinstance(name, str)]
    return data_sets(names)
