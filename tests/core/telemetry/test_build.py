"""Events are built from whatever a trainer hands over."""

import numpy as np
import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, TaskProfile
from gradience.core.errors import TelemetryError
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.events import Recommendation, RunStatus, TrainStep
from gradience.core.telemetry.payload import TextPolicy

BUILD = EventBuilder(run_id="r", policy=TextPolicy(max_str_len=40))


def step(loss: object = None, lr: object = None, **extras: object) -> TrainStep:
    return BUILD.train_step(2.5, 3, loss=loss, lr=lr, grad_norm=None, epoch=None, extras=extras)


def test_the_envelope_comes_in_as_arguments() -> None:
    event = step(loss=1)
    assert (event.ts, event.run_id, event.step, event.loss) == (2.5, "r", 3, 1.0)


@pytest.mark.parametrize("loss", [np.float32(0.5), np.array([0.5]), np.float64(0.5)])
def test_a_loss_may_be_numpys(loss: object) -> None:
    assert type(step(loss=loss).loss) is float


@pytest.mark.parametrize(
    ("loss", "kept"),
    [("high", "high"), (True, True), ([1.0, 2.0], [1.0, 2.0]), ({"a": 1}, {"a": 1})],
)
def test_a_loss_that_is_no_number_goes_to_the_extras(loss: object, kept: object) -> None:
    event = step(loss=loss)
    assert event.loss is None
    assert event.extras == {"loss": kept}


def test_rates_may_be_one_per_group() -> None:
    assert step(lr=[np.float32(0.5), 1]).lr == (0.5, 1.0)
    assert step(lr=np.float64(0.5)).lr == 0.5
    assert step(lr=[0.1, "fast"]).extras == {"lr": [0.1, "fast"]}


def test_extras_are_under_the_text_policy() -> None:
    assert step(note="x" * 41).extras == {"note": "[REDACTED len=41]"}


def test_a_config_may_be_a_mapping_or_a_snapshot() -> None:
    snapshot = ConfigSnapshot(lora=LoraSnapshot(r=8), task_profile=TaskProfile.GENERATION)
    mapping = {"lora": {"r": 8}, "task_profile": "generation"}
    for config in (snapshot, mapping):
        assert BUILD.run_start(1.0, None, config, {}, {}).config == snapshot


def test_a_config_that_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(TelemetryError, match=r"expected a ConfigSnapshot.*cluster.*'extras'"):
        BUILD.run_start(1.0, None, {"cluster": "a"}, {}, {})


def test_names_and_reasons_are_under_the_text_policy() -> None:
    long = "x" * 41
    assert BUILD.eval(1.0, 1, long, {}, {}).split == "[REDACTED len=41]"
    assert BUILD.metrics(1.0, 1, long, {}, {}).kind == "[REDACTED len=41]"
    ended = BUILD.run_end(1.0, 1, RunStatus.ERROR, long, {})
    assert ended.reason == "[REDACTED len=41]"


def test_recommendations_are_under_the_text_policy() -> None:
    item = Recommendation(severity=Severity.INFO, action="set_lr", message="x" * 41)
    (built,) = BUILD.recommendation(1.0, None, [item], {}).recommendations
    assert built.message == "[REDACTED len=41]"
    assert built.severity is Severity.INFO
