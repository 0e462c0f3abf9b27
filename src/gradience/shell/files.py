"""Reading text files and replacing them whole, with errors that say what to do."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gradience.core.errors import ConfigError, GradienceError
from gradience.core.json_text import parse_json

YAML_SUFFIXES = (".yaml", ".yml")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write under a temporary name, which is given ``path``'s when all went well.

    Its folder is made where it is not there. Its permissions are those that the process gives to
    any new file, or those of the file that it replaces. Where anything is raised, what stood under
    the name before still does.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it, so that it is never half there.

    Raises:
        GradienceError: The folder cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise GradienceError(
            f"{path}: cannot write: {error.strerror}. Name a file elsewhere."
        ) from error


def read_mapping(path: Path) -> Mapping[str, object]:
    """Parses a JSON or YAML file whose top level is a mapping.

    Args:
        path: The file; ``.yaml`` and ``.yml`` are YAML, anything else JSON.

    Returns:
        The mapping.

    Raises:
        ConfigError: The file cannot be read or parsed, or holds something else.
    """
    data = read_bytes(path)
    value = _parse_yaml(data, path) if path.suffix in YAML_SUFFIXES else _parse_json(data, path)
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{path}: expected a mapping of settings, found {type(value).__name__}. Name a "
            "configuration file."
        )
    return {str(key): item for key, item in value.items()}


def read_bytes(path: Path) -> bytes:
    """The whole content of a small file.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read: {error.strerror}. Name a file that is there."
        ) from error


def _parse_json(data: bytes, path: Path) -> object:
    try:
        return parse_json(data)
    except ValueError as error:
        raise ConfigError(f"{path}: expected JSON, found what does not parse: {error}") from error


def _parse_yaml(data: bytes, path: Path) -> object:
    import yaml

    try:
        value: object = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected YAML, found what does not parse: {error}") from error
    return value
