"""The settings of the project that one works in: the nearest pyproject.toml that has any."""

from collections.abc import Mapping
from pathlib import Path

from gradience.core.checking.settings import ProjectSettings, settings_of
from gradience.core.errors import ConfigError

PYPROJECT = "pyproject.toml"

_MARK = b"gradience"
"""Stands in every file that has the table: others are not parsed, however damaged they are."""


def find_project_settings(start: Path) -> ProjectSettings:
    """The ``[tool.gradience]`` table of the nearest pyproject.toml, from a folder upwards.

    A pyproject.toml without the table is passed over, as ruff does.

    Args:
        start: The folder to begin in.

    Returns:
        The settings; empty ones where no file has the table.

    Raises:
        ConfigError: The file cannot be read or parsed, or a key or value does not fit.
    """
    for folder in (start, *start.parents):
        table = _table(folder / PYPROJECT)
        if table is not None:
            return settings_of(table, str(folder / PYPROJECT))
    return ProjectSettings()


def _table(path: Path) -> Mapping[str, object] | None:
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise ConfigError(f"{path}: cannot read: {error.strerror}") from error
    if _MARK not in data:
        return None
    import tomllib

    try:
        parsed = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: expected TOML, found what does not parse: {error}. Correct the file."
        ) from error
    tool = parsed.get("tool")
    table = tool.get("gradience") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: expected a table [tool.gradience], found {table!r}.")
    return table
