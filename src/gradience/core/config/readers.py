"""From parsed configuration files to a ConfigSnapshot."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs
import cattrs
import msgspec

from gradience.core.adapter.peft_config import (
    PeftLoraConfig,
    make_converter,
    peft_lora_config,
    problem_list,
)
from gradience.core.adapter.peft_methods import LORA
from gradience.core.config.foreign import READ_KINDS, ConfigKind, config_kind
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
    without_nulls,
)
from gradience.core.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

TRAINING_EXTRAS = (
    "max_grad_norm",
    "warmup_ratio",
    "warmup_steps",
    "lr_scheduler_type",
    "label_smoothing_factor",
    "neftune_noise_alpha",
    "gradient_checkpointing",
    "group_by_length",
    "logging_steps",
    "logging_nan_inf_filter",
    "eval_strategy",
    "eval_steps",
    "save_steps",
    "tf32",
    "full_determinism",
)
"""Training arguments kept beside the snapshot's own fields: settings that shape the run, none
that names a person, a machine, a path or an account."""

LORA_EXTRAS = (
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "init_lora_weights",
    "fan_in_fan_out",
    "task_type",
)
"""Adapter settings kept beside the snapshot's own fields, empty and false ones too: laid over
another configuration they say that a setting is off."""

NULL_IS_A_VALUE = frozenset({"max_grad_norm"})
"""Training arguments whose ``null`` says something: the Trainer does not clip then."""


@attrs.frozen(kw_only=True)
class TrainingArguments:
    """What is needed of Hugging Face's TrainingArguments; None where the file does not say."""

    learning_rate: float | None = None
    weight_decay: float | None = None
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    adam_epsilon: float | None = None
    optim: str | None = None
    per_device_train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    seed: int | None = None
    bf16: bool | None = None
    fp16: bool | None = None


def read_config(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """Reads a configuration of any kind that this version knows.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Returns:
        The snapshot, with only what the file says.

    Raises:
        ConfigError: The file is of a kind that is not read, or a value does not fit.
    """
    kind = config_kind(raw)
    if kind not in READ_KINDS:
        raise ConfigError(
            f"{place}: expected an adapter_config.json, training_args.json or Gradience YAML/JSON, "
            f"found {kind.value}, which this version does not read. Give its values as flags "
            "(--lr, --r, --alpha, --targets …)."
        )
    return _READERS[kind](raw, place)


def peft_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an adapter_config.json."""
    config = peft_lora_config(raw, place)
    if config.peft_type != LORA:
        return ConfigSnapshot(
            model_name=config.base_model_name_or_path, extras={"peft_type": config.peft_type}
        )
    return ConfigSnapshot(model_name=config.base_model_name_or_path, lora=lora_snapshot(config))


def lora_snapshot(config: PeftLoraConfig) -> LoraSnapshot:
    """The adapter's part of a snapshot."""
    settings = attrs.asdict(config)
    return LoraSnapshot(
        r=config.r,
        alpha=config.lora_alpha,
        alpha_over_r=config.lora_alpha / config.r,
        target_modules=config.target_modules,
        dropout=config.lora_dropout,
        bias=config.bias,
        extras={name: settings[name] for name in LORA_EXTRAS if settings[name] is not None},
    )


def training_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a training_args.json, or of TrainingArguments.to_dict()."""
    names = {field.name for field in attrs.fields(TrainingArguments)}
    known = {key: value for key, value in raw.items() if key in names and value is not None}
    try:
        args = _CONVERTER.structure(known, TrainingArguments)
    except cattrs.ClassValidationError as error:
        problems = "; ".join(problem_list(error, "training_args"))
        raise ConfigError(f"{place}: {problems}. Correct the value.") from error
    betas = (args.adam_beta1, args.adam_beta2)
    return ConfigSnapshot(
        optimizer=OptimizerSnapshot(
            name=args.optim,
            lr=args.learning_rate,
            weight_decay=args.weight_decay,
            betas=None if betas[0] is None or betas[1] is None else (betas[0], betas[1]),
            eps=args.adam_epsilon,
        ),
        training=TrainingSnapshot(
            seed=args.seed,
            batch_size=args.per_device_train_batch_size,
            gradient_accumulation=args.gradient_accumulation_steps,
            max_steps=args.max_steps if args.max_steps and args.max_steps > 0 else None,
            epochs=args.num_train_epochs,
            dtype="bfloat16" if args.bf16 else "float16" if args.fp16 else None,
            extras={name: raw[name] for name in TRAINING_EXTRAS if _says(raw, name)},
        ),
    )


def gradience_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of Gradience's own YAML or JSON: a ConfigSnapshot as it stands.

    Numbers may be written as strings (YAML reads ``5e-5`` as one); ``null``, and a section with
    nothing in it, means "not given".
    """
    try:
        return msgspec.convert(without_nulls(raw), ConfigSnapshot, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{place}: expected a Gradience config with the keys "
            f"{', '.join(ConfigSnapshot.__struct_fields__)}, found: {error}. Correct the key or "
            "put it under 'extras'."
        ) from error


def bench_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a bench YAML's probe run.

    A bench names its own task profiles (``seqcls_glue`` …); one that is no
    :class:`~gradience.core.config.snapshot.TaskProfile` goes to the extras as ``bench_profile``.
    """
    model, task, train, lora = (_part(raw, key) for key in ("model", "task", "train", "lora"))
    profile = task.get("profile") or TaskProfile.UNKNOWN.value
    general = profile in [member.value for member in TaskProfile]
    return gradience_snapshot(
        {
            "model_name": model.get("name"),
            "dataset_name": task.get("dataset"),
            "task_profile": profile if general else TaskProfile.UNKNOWN.value,
            "optimizer": {
                "lr": train.get("lr", train.get("learning_rate")),
                "weight_decay": train.get("weight_decay"),
            },
            "lora": {
                "r": lora.get("probe_r"),
                "alpha": lora.get("alpha"),
                "dropout": lora.get("dropout"),
                "target_modules": lora.get("target_modules"),
            },
            "training": {
                "seed": train.get("seed", raw.get("seed")),
                "batch_size": train.get("per_device_train_batch_size"),
                "gradient_accumulation": train.get("gradient_accumulation_steps"),
                "max_steps": train.get("max_steps"),
                "dtype": model.get("torch_dtype"),
            },
            "extras": {} if general else {"bench_profile": profile},
        },
        place,
    )


def overlay(base: ConfigSnapshot, over: ConfigSnapshot) -> ConfigSnapshot:
    """``base`` with everything that ``over`` says put on top; extras are merged key by key.

    An ``alpha_over_r`` that comes without an alpha replaces the alpha below it, which
    :func:`with_ratio` then works out anew.
    """
    merged = _overlay(base, over)
    if over.lora.alpha is not None or over.lora.alpha_over_r is None:
        return merged
    return msgspec.structs.replace(merged, lora=msgspec.structs.replace(merged.lora, alpha=None))


def with_ratio(config: ConfigSnapshot) -> ConfigSnapshot:
    """The snapshot with ``alpha_over_r`` worked out from alpha and r, or alpha from the ratio.

    A rank below 1 is none, and nothing is worked out from it.
    """
    lora = config.lora
    if lora.r is None or lora.r < 1:
        return config
    alpha = lora.alpha
    if alpha is None and lora.alpha_over_r is not None:
        alpha = lora.alpha_over_r * lora.r
    if alpha is None:
        return config
    return msgspec.structs.replace(
        config, lora=msgspec.structs.replace(lora, alpha=alpha, alpha_over_r=alpha / lora.r)
    )


def _says(raw: Mapping[str, object], name: str) -> bool:
    return raw.get(name) is not None or (name in raw and name in NULL_IS_A_VALUE)


def _part(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = raw.get(key)
    return part if isinstance(part, Mapping) else {}


def _overlay(base: T, over: T) -> T:
    default = type(over)()
    changes: dict[str, object] = {}
    for field in over.__struct_fields__:
        below, above = getattr(base, field), getattr(over, field)
        if isinstance(above, msgspec.Struct):
            changes[field] = _overlay(below, above)
        elif field == "extras":
            changes[field] = {**below, **above}
        elif above != getattr(default, field):
            changes[field] = above
    return msgspec.structs.replace(base, **changes)


_CONVERTER = make_converter()

_READERS: Mapping[ConfigKind, Callable[[Mapping[str, object], str], ConfigSnapshot]] = {
    ConfigKind.PEFT: peft_snapshot,
    ConfigKind.TRAINING_ARGS: training_snapshot,
    ConfigKind.GRADIENCE: gradience_snapshot,
    ConfigKind.BENCH: bench_snapshot,
}
