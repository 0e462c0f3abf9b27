"""The [tool.gradience] table is read whole or refused by file and key."""

import pytest

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.settings import ProjectSettings, settings_of, threshold_names
from gradience.core.config.snapshot import TaskProfile
from gradience.core.errors import ConfigError
from gradience.core.severity import FailOn


def test_an_empty_table_changes_nothing() -> None:
    assert settings_of({}, "p.toml") == ProjectSettings(place="p.toml [tool.gradience]")


def test_every_key_is_read() -> None:
    settings = settings_of(
        {
            "select": ["GR1", "GR201"],
            "ignore": ["GR103"],
            "task-profile": "hard_reasoning",
            "fail-on": "warning",
            "thresholds": {"rank_high": 128, "lr_high": 1, "batch_high": 64},
        },
        "p.toml",
    )
    assert settings.select == ("GR1", "GR201")
    assert settings.ignore == ("GR103",)
    assert settings.task_profile is TaskProfile.HARD_REASONING
    assert settings.fail_on is FailOn.WARNING
    assert settings.policy == CheckPolicy(rank_high=128, lr_high=1.0, batch_high=64.0)


def test_single_numbers_may_be_set() -> None:
    assert {"rank_high", "lr_high", "scaling_high"} <= set(threshold_names())
    assert not {"vllm_ranks", "framework_rates", "rate_bands"} & set(threshold_names())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"selct": []}, r"p\.toml \[tool\.gradience\]: expected keys .* found 'selct'.*'select'"),
        ({"select": "GR1"}, r"\[tool\.gradience\] select: expected a list of codes .* 'GR1'"),
        ({"ignore": [1]}, r"\] ignore: expected a list of codes"),
        ({"task-profile": "poetry"}, r"task-profile: expected one of easy_classification.*poetry"),
        ({"task-profile": ["generation"]}, "task-profile: expected one of"),
        ({"fail-on": "now"}, "fail-on: expected one of never, info.*now"),
        ({"fail-on": 1}, "fail-on: expected one of"),
        ({"thresholds": 1}, r"thresholds\]: expected a table of numbers, found 1"),
        ({"thresholds": {"rank_hgh": 1}}, r"thresholds\]: expected keys .*'rank_hgh'.*'rank_high'"),
        ({"thresholds": {"vllm_ranks": [8]}}, "expected keys"),
        ({"thresholds": {"rank_high": 1.5}}, "rank_high: expected a whole number, found 1.5"),
        ({"thresholds": {"lr_high": "1e-3"}}, "lr_high: expected a finite number, found '1e-3'"),
        ({"thresholds": {"lr_high": True}}, "lr_high: expected a finite number, found True"),
        ({"thresholds": {"lr_high": float("nan")}}, "lr_high: expected a finite number"),
        ({"thresholds": {"rank_high": float("inf")}}, "rank_high: expected a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_by_file_and_key(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings_of(table, "p.toml")
