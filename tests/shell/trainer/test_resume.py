"""Which run goes on after a checkpoint, and where the file of an earlier run is kept."""

import json
import os
from pathlib import Path

import pytest
from transformers import TrainerState, TrainingArguments

from gradience import api
from gradience.core.foreign_logs.checkpoints import RUN_ID_ENTRY
from gradience.core.telemetry.events import RunStart
from gradience.shell.trainer import resume
from gradience.shell.trainer.resume import (
    checkpoint_run_id,
    dated_name,
    keep_old_file,
    last_run_id,
    latest_runs,
    remember_run_id,
    run_reaching,
)
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.trainer.tiny_trainer import tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

MOMENT = 1_790_000_000
"""21 September 2026, 14:13:20 UTC."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def write_run(path: Path, run_id: str, *steps: int) -> None:
    with TelemetryWriter(path, run_id=run_id) as writer:
        for step in steps:
            writer.train_step(step, loss=1.0)


def ids_and_resumes(path: Path) -> list[tuple[str, object]]:
    """Run id and the step it was resumed from, for each ``run_start``."""
    return [
        (event.run_id, event.meta.get("resumed_from_step"))
        for event in TelemetryReader(path).iter_events("run_start")
        if isinstance(event, RunStart)
    ]


def test_the_run_id_travels_in_the_state() -> None:
    state = TrainerState()
    remember_run_id(state, "run.jsonl", "a")
    remember_run_id(state, "other.jsonl", "b")
    assert checkpoint_run_id(state, "run.jsonl") == "a"
    assert checkpoint_run_id(state, "other.jsonl") == "b"
    assert checkpoint_run_id(state, "third.jsonl") is None


@pytest.mark.parametrize("entry", [None, "a", ["a"], {"run.jsonl": 7}])
def test_a_strange_entry_in_a_checkpoint_is_no_run_id(entry: object) -> None:
    state = TrainerState()
    entries: object = state.stateful_callbacks
    assert isinstance(entries, dict)
    entries[RUN_ID_ENTRY] = entry
    assert checkpoint_run_id(state, "run.jsonl") is None


def test_the_runs_at_a_files_end_in_order_of_their_last_event(path: Path) -> None:
    write_run(path, "a", 1, 9, 5)
    write_run(path, "b", 3)
    write_run(path, "a", 2)
    path.write_bytes(path.read_bytes() + b'{"torn')
    assert list(latest_runs(path).items()) == [("b", 3), ("a", 9)]
    assert last_run_id(path) == "a"
    assert [run_reaching(path, step) for step in (3, 9, 10)] == ["a", "a", None]


def test_only_the_end_of_a_large_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(path, "early", 100)
    write_run(path, "late", *range(50))
    monkeypatch.setattr(resume, "TAIL_BYTES", 1000)
    assert latest_runs(path) == {"late": 49}


def test_what_is_no_telemetry_has_no_runs(path: Path) -> None:
    assert latest_runs(path) == {}
    path.write_bytes(b"\xff not telemetry\n\n{}\n")
    assert last_run_id(path) is None
    assert latest_runs(path.parent) == {}


def test_an_old_file_is_named_after_its_last_modification(path: Path) -> None:
    path.write_text("first")
    os.utime(path, (MOMENT, MOMENT))
    assert dated_name(path).name == "run.20260921-141320.jsonl"
    kept = keep_old_file(path)
    assert kept is not None
    assert kept.read_text() == "first"
    assert not path.exists()


def test_an_old_file_never_overwrites_another(path: Path) -> None:
    for text in ("first", "second", "third"):
        path.write_text(text)
        os.utime(path, (MOMENT, MOMENT))
        keep_old_file(path)
    found = {file.name: file.read_text() for file in path.parent.iterdir()}
    assert found == {
        "run.20260921-141320.jsonl": "first",
        "run.20260921-141320-2.jsonl": "second",
        "run.20260921-141320-3.jsonl": "third",
    }


def test_nothing_is_kept_of_no_file_an_empty_one_or_a_device(path: Path) -> None:
    assert keep_old_file(path) is None
    path.touch()
    assert keep_old_file(path) is None
    path.unlink()
    path.symlink_to(os.devnull)
    assert keep_old_file(path) is None
    assert path.is_symlink()


def train(folder: Path, callback: GradienceCallback, **arguments: object) -> Path:
    """Trains two steps of eight at most, or on from a checkpoint; returns the checkpoint."""
    resumed = arguments.pop("resumed", None)
    settings = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2, **arguments}
    tiny_trainer(folder, callback, **settings).train(resume_from_checkpoint=resumed)  # type: ignore[arg-type]  # settings of many types
    return folder / "checkpoint-2"


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.filterwarnings("ignore:.*checkpoint.*")
def test_a_resumed_run_goes_on_in_its_file_under_its_id(tmp_path: Path, *, restore: bool) -> None:
    checkpoint = train(tmp_path, GradienceCallback())
    stored = json.loads((checkpoint / "trainer_state.json").read_text())["stateful_callbacks"]
    config = GradienceCallbackConfig(notes="kept")
    train(
        tmp_path,
        GradienceCallback(config),
        resumed=str(checkpoint),
        max_steps=4,
        restore_callback_states_from_checkpoint=restore,
    )
    path = tmp_path / "run.jsonl"
    starts = ids_and_resumes(path)
    assert starts == [(stored[RUN_ID_ENTRY]["run.jsonl"], None), (starts[0][0], 2)]
    assert not list(tmp_path.glob("run.*.jsonl"))
    report = api.monitor(path)
    assert (report.n_runs, report.loss.n, report.run.last_step) == (1, 2, 4)
    config_found = TelemetryReader(path).latest_config()
    assert config_found is not None
    assert config_found.notes == "kept"


def test_a_resumed_run_keeps_its_id_in_another_folder(tmp_path: Path) -> None:
    checkpoint = train(tmp_path / "a", GradienceCallback())
    train(tmp_path / "b", GradienceCallback(), resumed=str(checkpoint), max_steps=4)
    ((first, _),) = ids_and_resumes(tmp_path / "a" / "run.jsonl")
    assert ids_and_resumes(tmp_path / "b" / "run.jsonl") == [(first, 2)]


def test_a_checkpoint_that_knows_no_id_is_matched_with_the_file(tmp_path: Path) -> None:
    checkpoint = train(tmp_path, GradienceCallback())
    file = checkpoint / "trainer_state.json"
    state = json.loads(file.read_text())
    del state["stateful_callbacks"][RUN_ID_ENTRY]
    file.write_text(json.dumps(state))
    train(tmp_path, GradienceCallback(), resumed=str(checkpoint), max_steps=4)
    first, second = ids_and_resumes(tmp_path / "run.jsonl")
    assert (first[0], 2) == second


def test_a_run_that_never_came_so_far_is_not_continued(tmp_path: Path) -> None:
    checkpoint = train(tmp_path / "a", GradienceCallback())
    file = checkpoint / "trainer_state.json"
    state = json.loads(file.read_text())
    del state["stateful_callbacks"][RUN_ID_ENTRY]
    file.write_text(json.dumps(state))
    (tmp_path / "b").mkdir()
    write_run(tmp_path / "b" / "run.jsonl", "other", 1)
    train(tmp_path / "b", GradienceCallback(), resumed=str(checkpoint), max_steps=4)
    ((run_id, step),) = ids_and_resumes(tmp_path / "b" / "run.jsonl")
    assert (run_id != "other", step) == (True, 2)


def test_a_new_run_keeps_the_old_file_and_evaluations_do_not(tmp_path: Path) -> None:
    train(tmp_path, GradienceCallback())
    again = tiny_trainer(tmp_path, GradienceCallback())
    before = (tmp_path / "run.jsonl").read_bytes()
    again.evaluate()
    appended = (tmp_path / "run.jsonl").read_bytes()
    assert appended.startswith(before)
    assert appended.count(b'"event":"eval"') == 1
    again.train()
    (kept,) = tmp_path.glob("run.*.jsonl")
    assert kept.read_bytes() == appended
    assert len(ids_and_resumes(tmp_path / "run.jsonl")) == 1


def test_an_evaluation_before_the_training_stays_with_its_run(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.evaluate()
    trainer.train()
    path = tmp_path / "run.jsonl"
    assert not list(tmp_path.glob("run.*.jsonl"))
    assert len({event.run_id for event in TelemetryReader(path).iter_events()}) == 1
    assert api.monitor(path).loss.n == 4


def test_other_ranks_move_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import TrainerControl

    write_run(tmp_path / "run.jsonl", "old", 1)
    monkeypatch.setattr(TrainingArguments, "process_index", 1)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    state = TrainerState(is_world_process_zero=False)
    GradienceCallback().on_train_begin(args, state, TrainerControl(), model=tiny_model())
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_folder_that_lets_nothing_be_moved_is_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: Path, __: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "run.jsonl"
    write_run(path, "old", 1)
    monkeypatch.setattr(Path, "rename", refused)
    callback = GradienceCallback()
    assert tiny_trainer(tmp_path, callback).train().global_step == 8
    assert "cannot be moved (PermissionError)" in caplog.text
    old, new = latest_runs(path)
    assert (old, new) == ("old", last_run_id(path))
    assert callback.dropped_events == 0
