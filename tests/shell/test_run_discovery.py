"""The logs of runs below a folder."""

import errno
import os
from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError
from gradience.shell.run_discovery import distinct_files, find_logs, natural_order, output_folder


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_logs_are_found_by_their_names_at_any_depth(tmp_path: Path) -> None:
    touched(
        tmp_path,
        "run.jsonl",
        "a/b/trainer_state.json",
        "a/trainer_log.jsonl",
        "a/log_1712345678.txt",
        "a/config.json",
        "a/notes.txt",
    )
    found = [str(path.relative_to(tmp_path)) for path in find_logs(tmp_path)]
    assert found == [
        "run.jsonl",
        "a/log_1712345678.txt",
        "a/trainer_log.jsonl",
        "a/b/trainer_state.json",
    ]


def test_hidden_folders_and_packages_hold_no_runs(tmp_path: Path) -> None:
    touched(tmp_path, ".git/run.jsonl", "env/site-packages/x/run.jsonl", "__pycache__/run.jsonl")
    assert not list(find_logs(tmp_path))


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touched(tmp_path, "out/run.jsonl")
    (tmp_path / "out" / "loop").symlink_to(tmp_path)
    assert len(list(find_logs(tmp_path))) == 1


def test_a_folder_below_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path, "out/run.jsonl", "locked/run.jsonl")
    listed = os.scandir

    def scandir(folder: str) -> object:
        if Path(folder).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    told: list[OSError] = []
    assert list(find_logs(tmp_path, told.append)) == [tmp_path / "out" / "run.jsonl"]
    (error,) = told
    assert error.filename == str(tmp_path / "locked")


def test_links_to_files_that_are_there_themselves_are_left_out(tmp_path: Path) -> None:
    touched(tmp_path, "out/run.jsonl", "elsewhere/log.jsonl")
    link, own, gone = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    link.symlink_to(tmp_path / "out" / "run.jsonl")
    own.symlink_to(tmp_path / "elsewhere" / "log.jsonl")
    gone.symlink_to(tmp_path / "nowhere")
    paths = [link, own, gone, tmp_path / "out" / "run.jsonl"]
    assert distinct_files(paths) == [own, gone, tmp_path / "out" / "run.jsonl"]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match="cannot list the folder"):
        list(find_logs(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("state", "folder"),
    [
        ("out/checkpoint-500/trainer_state.json", "out"),
        ("out/trainer_state.json", "out"),
        ("out/checkpoint-best/trainer_state.json", "out/checkpoint-best"),
    ],
)
def test_a_checkpoints_run_wrote_to_the_folder_above(state: str, folder: str) -> None:
    assert output_folder(Path(state)) == Path(folder)


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["checkpoint-1000", "checkpoint-500", "a10", "a9", "", "²"]
    assert sorted(names, key=natural_order) == [
        "",
        "a9",
        "a10",
        "checkpoint-500",
        "checkpoint-1000",
        "²",
    ]
