"""Gradience's own configurations: the check's YAML or JSON, and a bench's."""

from collections.abc import Iterator, Mapping

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile, without_nulls
from gradience.core.config.typed_keys import TOO_LARGE
from gradience.core.config.vocabulary import dtype_name
from gradience.core.errors import ConfigError


def gradience_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of Gradience's own YAML or JSON: a ConfigSnapshot as it stands.

    Numbers may be written as strings (YAML reads ``5e-5`` as one); ``null``, and a section with
    nothing in it, means "not given".

    Raises:
        ConfigError: A key is unknown, a value does not fit, or an integer is beyond 64 bits.
    """
    large = next(_large(raw, ""), None)
    if large is not None:
        raise ConfigError(f"{place}: {large}: expected at most 64 bits. Correct the value.")
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

    The rank is that of a probe, high on purpose: ``extras["probe"]`` says so.

    A bench names its own task profiles (``seqcls_glue`` …); one that is no
    :class:`~gradience.core.config.snapshot.TaskProfile` goes to the extras as ``bench_profile``.
    """
    model, task, train, lora = (_part(raw, key) for key in ("model", "task", "train", "lora"))
    profile = task.get("profile") or TaskProfile.UNKNOWN.value
    general = profile in [member.value for member in TaskProfile]
    dtype = model.get("torch_dtype")
    rank = lora.get("probe_r")
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
                "r": rank,
                "alpha": lora.get("alpha"),
                "dropout": lora.get("dropout"),
                "target_modules": lora.get("target_modules"),
            },
            "training": {
                "seed": train.get("seed", raw.get("seed")),
                "batch_size": train.get("per_device_train_batch_size", train.get("batch_size")),
                "gradient_accumulation": train.get("gradient_accumulation_steps"),
                "max_steps": train.get("max_steps"),
                "epochs": train.get("num_epochs"),
                "dtype": dtype_name(dtype) if isinstance(dtype, str) else dtype,
                "extras": {key: train[key] for key in _BENCH_EXTRAS if train.get(key) is not None},
            },
            "extras": ({} if rank is None else {"probe": True})
            | ({} if general else {"bench_profile": profile}),
        },
        place,
    )


_BENCH_EXTRAS = ("warmup_ratio", "eval_steps", "logging_steps", "save_steps", "max_length")


def _large(value: object, path: str) -> Iterator[str]:
    """The paths of the integers that no report in JSON could hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _large(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _large(item, path)
    elif isinstance(value, int) and abs(value) >= TOO_LARGE:
        yield path


def _part(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = raw.get(key)
    return part if isinstance(part, Mapping) else {}
