"""Configuration files on disk."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gradience.core.config.readers import read_config
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError
from gradience.shell.files import read_mapping

TRAINING_ARGS = "training_args.json"
TRAINING_ARGS_PICKLE = "training_args.bin"

MAX_NAMES_SHOWN = 8
"""Names that a message lists of a folder's content."""

NO_REMEDIES: Mapping[str, str] = MappingProxyType({})


def load_config(path: Path) -> ConfigSnapshot:
    """Reads one configuration file of any kind that is known.

    Raises:
        ConfigError: It cannot be read, or is of a kind that is refused.
    """
    if path.suffix in {".bin", ".pt", ".pkl"}:
        raise ConfigError(
            f"{path}: expected JSON or YAML, found a pickle, which can run code when it is "
            "loaded and is not read. Write the arguments as JSON: "
            f"json.dump(args.to_dict(), open('{TRAINING_ARGS}', 'w'))."
        )
    if path.is_dir():
        raise ConfigError(
            f"{path}: expected a file, found a folder. Name the file, or use --peft-dir or "
            "--training-dir."
        )
    return read_config(read_mapping(path), str(path))


def find_peft_config(folder: Path) -> Path:
    """The adapter_config.json of an adapter's folder.

    Raises:
        ConfigError: There is none, or the folder cannot be read.
    """
    from gradience.core.adapter.peft_config import ADAPTER_CONFIG

    return _find(folder, ADAPTER_CONFIG, "Name the folder that save_pretrained wrote.")


def find_training_args(folder: Path) -> Path:
    """The training_args.json of a run's folder.

    Raises:
        ConfigError: There is none, or the folder cannot be read.
    """
    remedy = "Write it with json.dump(args.to_dict(), …), or use --training FILE."
    pickled = f"{TRAINING_ARGS_PICKLE} is a pickle and is not read. {remedy}"
    return _find(folder, TRAINING_ARGS, remedy, {TRAINING_ARGS_PICKLE: pickled})


def _find(folder: Path, name: str, remedy: str, remedies: Mapping[str, str] = NO_REMEDIES) -> Path:
    """The file of that name; ``remedies`` says what to do where another is there instead."""
    try:
        path = folder / name
        if path.is_file():
            return path
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else None
    except OSError as error:
        raise ConfigError(f"{folder}: cannot read the folder: {error.strerror}.") from error
    found = "no such folder"
    if names is not None:
        found = "a folder with " + (", ".join(names[:MAX_NAMES_SHOWN]) or "nothing in it")
    advice = next((remedies[other] for other in names or () if other in remedies), remedy)
    raise ConfigError(f"{folder}: expected a folder with {name}, found {found}. {advice}")
