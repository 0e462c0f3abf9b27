"""``gradience demo``, as far as it goes without training (tests/demo trains)."""

from collections.abc import Callable
from pathlib import Path

from tests.cli.run_cli import CliResult


def test_a_file_in_place_of_the_folder_exits_2_before_any_work(
    cli: Callable[..., CliResult], tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("kept")
    result = cli("demo", "--out", occupied)
    assert result.code == 2
    assert "expected a folder" in result.err
    assert occupied.read_text() == "kept"
