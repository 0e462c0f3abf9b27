"""Result files of PEFT's method comparison."""

import json
from collections.abc import Mapping

import pytest

from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.peft_results import convert_peft_result
from gradience.core.telemetry.events import RunEnd, RunStatus
from tests.core.foreign_logs.rows_of_logs import Converted, gathered
from tests.shared_data import DATA

FILE = DATA / "foreign_logs" / "peft_rank64_rslora.result.json"


def convert(result: Mapping[str, object]) -> Converted:
    return gathered(convert_peft_result(result, "x"))


@pytest.fixture
def result() -> dict[str, dict[str, object]]:
    read: dict[str, dict[str, object]] = json.loads(FILE.read_text("utf-8"))
    return read


def test_the_configuration_is_the_files(result: Mapping[str, object]) -> None:
    config = convert(result).start.config
    assert config.model_name == "meta-llama/Llama-3.2-3B"
    assert (config.lora.r, config.lora.alpha, config.lora.target_modules) == (
        64,
        64.0,
        ("v_proj", "q_proj"),
    )
    assert config.lora.extras["use_rslora"] is True
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay) == (
        "AdamW",
        1e-4,
        0.1,
    )
    training = config.training
    assert (training.seed, training.batch_size, training.max_steps) == (0, 4, 5000)
    assert training.dtype == "bfloat16"


def test_every_row_is_a_step_and_a_validation_and_the_last_a_test(
    result: dict[str, dict[str, object]],
) -> None:
    found = convert(result)
    rows = result["train_info"]["metrics"]
    assert isinstance(rows, list)
    assert [step.loss for step in found.steps] == [row["train loss"] for row in rows[:-1]]
    assert [step.ts for step in found.steps] == [row["elapsed time"] for row in rows[:-1]]
    assert [held_out.split for held_out in found.evals] == ["val"] * 20 + ["test"]
    accuracies = [held_out.metrics["accuracy"] for held_out in found.evals]
    assert accuracies == [row.get("valid accuracy", row.get("test accuracy")) for row in rows]
    assert found.evals[-1].metrics["forgetting"] == rows[-1]["forgetting"]
    assert found.start.meta["clock"] == "elapsed"


def test_totals_and_status_close_the_run(result: dict[str, dict[str, object]]) -> None:
    found = convert(result)
    assert found.metrics[-1].metrics["train_time"] == result["train_info"]["train_time"]
    assert found.end is not None
    assert (found.end.status, found.end.step) == (RunStatus.OK, 5000)


@pytest.mark.parametrize(
    ("status", "expected"), [("failed", RunStatus.ERROR), ("canceled", RunStatus.ABORTED)]
)
def test_a_failed_run_says_why(
    result: dict[str, dict[str, object]], status: str, expected: RunStatus
) -> None:
    result["train_info"]["status"] = status
    result["run_info"]["error_msg"] = "out of memory"
    end = convert(result).end
    assert end is not None
    assert (end.status, end.reason) == (expected, "out of memory")


@pytest.mark.parametrize(("status", "ends"), [("success", 1), ("failed", 1), ("running", 0)])
def test_the_status_alone_ends_a_run_that_reached_its_last_step(
    result: dict[str, dict[str, object]], status: str, ends: int
) -> None:
    result["train_info"]["status"] = status
    events = convert(result).events
    assert sum(isinstance(event, RunEnd) for event in events) == ends


def test_an_unknown_status_ends_nothing(result: dict[str, dict[str, object]]) -> None:
    result["train_info"]["status"] = "running"
    assert convert(result).end is None


def test_an_adapter_that_does_not_fit_is_an_issue(result: dict[str, dict[str, object]]) -> None:
    peft = result["run_info"]["peft_config"]
    assert isinstance(peft, dict)
    peft["r"] = "many"
    found = convert(result)
    ((_, issue),) = found.issues
    assert issue.code == "odd_config"
    assert found.start.config.lora.r is None
    assert found.start.config.optimizer.lr == 1e-4


@pytest.mark.parametrize("train", [None, {}, {"metrics": 3}])
def test_a_file_without_rows_is_refused(train: object) -> None:
    with pytest.raises(TelemetryError, match=r"x: expected a list of rows under 'train_info"):
        convert({"run_info": {}, "train_info": train})
