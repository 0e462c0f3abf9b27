"""The log of issues, and the words of a refusal."""

import pytest

from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.issues import (
    MAX_DISTINCT_ISSUES,
    IssueLog,
    describe_foreign_log,
    line_too_long,
    refusal,
    torn_line,
)


def issue(message: str) -> LineIssue:
    return LineIssue(Severity.WARNING, "not_json", message)


def test_equal_issues_are_counted_at_their_first_line() -> None:
    (found,) = IssueLog().add([(3, issue("a")), (5, issue("a"))]).listed()
    assert (found.line, found.count) == (3, 2)


def test_issues_are_listed_by_line() -> None:
    log = IssueLog().add([(3, issue("a"))]).add([(1, issue("b"))])
    assert [found.line for found in log.listed()] == [1, 3]


def test_adding_leaves_the_old_log_as_it_was() -> None:
    log = IssueLog()
    log.add([(1, issue("a"))])
    assert log.listed() == ()


def test_further_issues_are_only_counted() -> None:
    log = IssueLog().add((n, issue(str(n))) for n in range(MAX_DISTINCT_ISSUES + 7))
    listed = log.listed()
    assert len(listed) == MAX_DISTINCT_ISSUES + 1
    assert (listed[-1].code, listed[-1].count) == ("more_issues", 7)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"log_history": []}, "trainer_state.json"),
        ({"current_steps": 1, "total_steps": 2}, "LLaMA-Factory trainer_log.jsonl"),
        ({"timestamp": 1, "event": "x", "data": {}}, "timestamp, event, data"),
        ({"step": 1, "loss": 2.0}, "DiskLogger"),
        ({"peft_type": "LORA"}, "gradience check"),
        ({"schema": "gradience.v0"}, "schema 'gradience.v0'"),
        ({"a": 1, "b": 2}, "without a schema (keys: a, b)"),
        ({}, "an empty JSON object"),
        ({"log_history": []}, "read by: gradience monitor, gradience convert"),
        ({"loss": 1, "global_step/max_steps": "1/2"}, "ms-swift logging.jsonl"),
        ({"architectures": ["X"]}, "a model's config.json"),
        ({"lora_parameters": {}}, "an mlx-lm adapter_config.json"),
        ({"stable_rank_mean": 1, "total_lora_params": 2}, "an audit report"),
        ({"audit_timestamp": 1, "probe_rank": 2}, "an audit report"),
        ({"bench_version": 1, "probe": {}}, "a benchmark report"),
        ({"verdicts": {}, "probe_baseline": 1}, "a benchmark's verdicts"),
        ({"eval_loss": 1, "eval_runtime": 1}, "the metrics of one evaluation"),
        ({"config": {}, "recommendations": []}, "a report of gradience check"),
        ([{}], "bare Trainer log_history"),
        ([], "an empty JSON list"),
        ([{"schema": "gradience.vnext.telemetry/v1"}], "write one event a line"),
        (3, "a JSON int"),
    ],
)
def test_a_foreign_log_is_named(record: object, words: str) -> None:
    assert words in describe_foreign_log(record)


def test_a_refusal_says_where_what_and_the_remedy() -> None:
    message = refusal("run.jsonl:1", "a haiku")
    assert message.startswith("run.jsonl:1: expected telemetry of schema")
    assert "found a haiku. Record the run with GradienceCallback()" in message


def test_lines_that_are_too_long_or_torn_say_how_long() -> None:
    assert "less than 64 bytes, found a longer one; not read" in line_too_long(64).message
    assert torn_line(7).message.startswith("the last line is cut off after 7 bytes")
    assert (line_too_long(1).code, torn_line(1).code) == ("line_too_long", "torn_line")


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"_step": 1, "_runtime": 2.0, "loss": 1.0}, "a W&B history"),
        ({"loss": [1.0], "val_loss": [1.0]}, "a Keras history"),
    ],
)
def test_histories_of_other_trackers_are_named(record: dict[str, object], named: str) -> None:
    assert describe_foreign_log(record).startswith(named)
