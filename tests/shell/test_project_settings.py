"""The nearest pyproject.toml with the table is found, and read or refused by name."""

from pathlib import Path

import pytest

from gradience.core.checking.settings import ProjectSettings
from gradience.core.errors import ConfigError
from gradience.shell.project_settings import find_project_settings

TABLE = '[tool.gradience]\nselect = ["GR1"]\n'


def test_no_file_means_no_settings(tmp_path: Path) -> None:
    assert find_project_settings(tmp_path) == ProjectSettings()


def test_the_table_of_a_folder_above_is_found(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    found = find_project_settings(inner)
    assert found.select == ("GR1",)
    assert found.place == f"{tmp_path / 'pyproject.toml'} [tool.gradience]"


def test_the_nearest_table_wins_and_files_without_one_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text('[project]\nname = "gradience"\n')
    assert find_project_settings(inner).select == ("GR1",)
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.gradience]\nselect = ["GR2"]\n')
    assert find_project_settings(inner).select == ("GR2",)


def test_a_damaged_file_of_another_matter_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[broken")
    assert find_project_settings(tmp_path) == ProjectSettings()


def test_a_folder_of_that_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    assert find_project_settings(tmp_path) == ProjectSettings()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[tool.gradience\n", r"pyproject\.toml: expected TOML, found what does not parse"),
        (b"# gradience \xff\n", r"pyproject\.toml: expected TOML"),
        (b"[tool]\ngradience = 1\n", r"expected a table \[tool\.gradience\], found 1"),
        (b"[tool.gradience]\nslect = []\n", r"pyproject\.toml \[tool\.gradience\]: .*'slect'"),
    ],
)
def test_what_does_not_fit_is_refused_by_file(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        find_project_settings(tmp_path)


def test_a_tool_section_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('tool = "gradience"\n')
    assert find_project_settings(tmp_path) == ProjectSettings()
