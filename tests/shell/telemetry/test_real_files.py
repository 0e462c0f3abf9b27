"""Telemetry files of the original are read without loss; other tools' logs are refused by name."""

import json
from pathlib import Path

import pytest

from gradience.core.errors import TelemetrySchemaError
from gradience.core.telemetry.encode import encode_event
from gradience.shell.telemetry.reader import TelemetryReader
from tests.shared_data import DATA, SHARED, needs_shared_data

FIXTURE = DATA / "gradience" / "fixture_vnext_minimal.jsonl"
V1_FILES = sorted((SHARED / "gradience" / "telemetry_v1").glob("*.jsonl"))
TRAINER_STATES = sorted(SHARED.glob("**/trainer_state.json"))
LLAMA_FACTORY_LOGS = sorted((SHARED / "other_logs").glob("llamafactory*/trainer_log.jsonl"))


def assert_reads_without_loss(path: Path) -> None:
    reader = TelemetryReader(path)
    written = [json.loads(encode_event(event)) for event in reader.iter_events()]
    assert written == [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert reader.issues == ()


def test_the_originals_fixture_reads_without_loss() -> None:
    assert_reads_without_loss(FIXTURE)


@needs_shared_data
@pytest.mark.parametrize("path", V1_FILES, ids=lambda path: path.stem)
def test_every_file_of_the_original_reads_without_loss(path: Path) -> None:
    assert_reads_without_loss(path)


@needs_shared_data
def test_the_real_files_are_all_there() -> None:
    assert (len(V1_FILES), len(LLAMA_FACTORY_LOGS)) == (8, 3)
    assert len(TRAINER_STATES) > 20


@needs_shared_data
def test_the_originals_other_layout_is_refused_by_name() -> None:
    path = SHARED / "gradience" / "telemetry_other_schema" / "training_log.jsonl"
    with pytest.raises(TelemetrySchemaError, match=r"layout \(timestamp, event, data\)"):
        TelemetryReader(path).validate()


@needs_shared_data
@pytest.mark.parametrize("path", TRAINER_STATES, ids=lambda path: path.parent.name)
def test_a_trainer_state_is_refused_by_name(path: Path) -> None:
    with pytest.raises(TelemetrySchemaError, match=r"found a Hugging Face trainer_state\.json"):
        TelemetryReader(path).validate()


@needs_shared_data
@pytest.mark.parametrize("path", LLAMA_FACTORY_LOGS, ids=lambda path: path.parent.name)
def test_a_llama_factory_log_is_refused_by_name(path: Path) -> None:
    with pytest.raises(TelemetrySchemaError, match=r"found a LLaMA-Factory trainer_log\.jsonl"):
        TelemetryReader(path).validate()
