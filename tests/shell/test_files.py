"""Files are read whole or refused in words, and replaced whole or not at all."""

from pathlib import Path

import pytest

from gradience.core.errors import ConfigError, GradienceError
from gradience.shell.files import read_bytes, read_mapping, replacing, write_atomically


def test_a_file_is_written_and_nothing_else_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "a.json", b"new")
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["a.json"]
    assert (tmp_path / "deep" / "a.json").read_bytes() == b"new"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"something longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path, __: Path) -> Path:
        raise OSError(13, "Permission denied")

    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(GradienceError, match=r"a\.json: cannot write: Permission denied"):
        write_atomically(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GradienceError, match=r"cannot write"):
        write_atomically(tmp_path / "file" / "a.json", b"new")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "lr: 1\n"), ("a.yml", "lr: 1\n"), ("a.json", '{"lr": 1}'), ("a", '{"lr": 1}')],
)
def test_yaml_goes_by_its_suffix_and_all_else_is_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_mapping(tmp_path / name) == {"lr": 1}


def test_pythons_bare_nan_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"lr": NaN}')
    assert repr(read_mapping(tmp_path / "a.json")) == "{'lr': nan}"


def test_keys_become_strings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1: one\n")
    assert read_mapping(tmp_path / "a.yaml") == {"1": "one"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", r"a\.json: expected JSON, found what does not parse"),
        ("a.json", "[" * 100_000, r"a\.json: expected JSON, found what does not parse"),
        ("a.yaml", "a: [", r"a\.yaml: expected YAML, found what does not parse"),
        ("a.yaml", "!!python/object:os.system x", r"a\.yaml: expected YAML"),
        ("a.yaml", "- 1", r"expected a mapping of settings, found list"),
        ("a.yaml", "", r"expected a mapping of settings, found NoneType"),
    ],
)
def test_what_is_no_mapping_is_refused_in_words(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_mapping(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: cannot read: No such file"):
        read_bytes(tmp_path / "none.json")


def test_a_new_file_has_the_permissions_of_any_and_keeps_those_of_the_one_it_replaces(
    tmp_path: Path,
) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.touch()
    write_atomically(written, b"1")
    assert written.stat().st_mode == plain.stat().st_mode
    written.chmod(0o640)
    write_atomically(written, b"2")
    assert (written.read_bytes(), written.stat().st_mode & 0o777) == (b"2", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "written"]


def test_what_stood_there_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [
        ("a.json", b"old")
    ]
