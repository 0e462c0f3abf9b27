"""A project's own settings for the check: the ``[tool.gradience]`` table of its pyproject.toml."""

import math
from collections.abc import Mapping

import attrs
import msgspec

from gradience.core.checking.policy import CheckPolicy
from gradience.core.config.snapshot import TaskProfile
from gradience.core.errors import ConfigError
from gradience.core.severity import FailOn

TABLE = "tool.gradience"
"""The table's name."""

KEYS = ("select", "ignore", "task-profile", "fail-on", "thresholds")
"""What may stand in it."""


@attrs.frozen(kw_only=True)
class ProjectSettings:
    """What a project says of itself; flags beat all of it."""

    place: str = ""
    """The file, for messages; empty where there is none."""
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    task_profile: TaskProfile | None = None
    """Of configurations that name none."""
    fail_on: FailOn | None = None
    policy: CheckPolicy = CheckPolicy()
    """With the project's own thresholds."""


def settings_of(table: Mapping[str, object], place: str) -> ProjectSettings:
    """Reads the parsed table.

    Args:
        table: What stands under ``[tool.gradience]``.
        place: The file, for messages.

    Returns:
        The settings.

    Raises:
        ConfigError: A key is unknown, or a value does not fit; the message names the file and key.
    """
    where = f"{place} [{TABLE}]"
    _refuse_unknown(table, KEYS, where)
    return ProjectSettings(
        place=where,
        select=_selectors(table, "select", where),
        ignore=_selectors(table, "ignore", where),
        task_profile=_profile(table, where),
        fail_on=_fail_on(table, where),
        policy=_policy(table.get("thresholds", {}), f"{place} [{TABLE}.thresholds]"),
    )


def threshold_names() -> tuple[str, ...]:
    """The fields of the policy that are single numbers, and may be set."""
    policy = CheckPolicy()
    return tuple(
        field.name
        for field in attrs.fields(CheckPolicy)
        if isinstance(getattr(policy, field.name), int | float)
    )


def _refuse_unknown(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            from difflib import get_close_matches

            close = get_close_matches(key, known, n=1)
            advice = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"{where}: expected keys among {', '.join(known)}, found {key!r}.{advice}"
            )


def _selectors(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...] | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(
            f'{where} {key}: expected a list of codes such as ["GR1", "GR201"], found {value!r}.'
        )
    return tuple(str(item) for item in value)


def _profile(table: Mapping[str, object], where: str) -> TaskProfile | None:
    value = table.get("task-profile")
    choices = {profile.value: profile for profile in TaskProfile}
    if value is None:
        return None
    if not isinstance(value, str) or value not in choices:
        raise _no_choice(f"{where} task-profile", tuple(choices), value)
    return choices[value]


def _fail_on(table: Mapping[str, object], where: str) -> FailOn | None:
    value = table.get("fail-on")
    choices = {level.value: level for level in FailOn}
    if value is None:
        return None
    if not isinstance(value, str) or value not in choices:
        raise _no_choice(f"{where} fail-on", tuple(choices), value)
    return choices[value]


def _no_choice(where: str, choices: tuple[str, ...], found: object) -> ConfigError:
    return ConfigError(f"{where}: expected one of {', '.join(choices)}, found {found!r}.")


def _policy(thresholds: object, where: str) -> CheckPolicy:
    if not isinstance(thresholds, Mapping):
        raise ConfigError(f"{where}: expected a table of numbers, found {thresholds!r}.")
    given = {str(key): value for key, value in thresholds.items()}
    _refuse_unknown(given, threshold_names(), where)
    defaults = CheckPolicy()
    changes: dict[str, float] = {}
    for key, value in given.items():
        whole = isinstance(getattr(defaults, key), int)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _no_number(where, key, value, whole=whole)
        if not math.isfinite(value) or (whole and value != int(value)):
            raise _no_number(where, key, value, whole=whole)
        changes[key] = int(value) if whole else float(value)
    return msgspec.convert({**attrs.asdict(defaults, recurse=False), **changes}, CheckPolicy)


def _no_number(where: str, key: str, found: object, *, whole: bool) -> ConfigError:
    kind = "a whole number" if whole else "a finite number"
    return ConfigError(f"{where} {key}: expected {kind}, found {found!r}.")
