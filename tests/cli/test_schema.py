"""``gradience schema``, and that what is written follows it."""

from collections.abc import Callable

import pytest

from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]


@pytest.mark.parametrize("name", ["telemetry", "check", "monitor", "audit", "explain"])
def test_schema_is_json_with_definitions(cli: Cli, name: str) -> None:
    result = cli("schema", name)
    assert result.code == 0
    assert result.json["$defs"]


def test_telemetry_schema_names_every_event(cli: Cli) -> None:
    discriminator = cli("schema", "telemetry").json["discriminator"]
    assert isinstance(discriminator, dict)
    expected = {"run_start", "train_step", "eval", "metrics", "alert", "recommendation", "run_end"}
    assert discriminator["mapping"].keys() == expected


def test_internal_key_is_not_part_of_the_contract(cli: Cli) -> None:
    assert "$extras" not in cli("schema", "telemetry").out


def test_unknown_name_exits_2(cli: Cli) -> None:
    assert cli("schema", "nothing").code == 2
