"""Events are built from whatever a trainer hands over."""

import numpy as np
import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, TaskProfile
from gradience.core.errors import TelemetryError
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.events import Recommendation, RunStatus, TrainStep
from gradience.core.telemetry.text_policy import TextPolicy
from tests.core.telemetry.marked_secrets import SHAPED

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


def built(step: object) -> int | None:
    return BUILD.run_end(1.0, step, "ok", None, {}).step  # type: ignore[arg-type]  # any step


@pytest.mark.parametrize("given", [3, 3.0, np.int32(3), np.float32(3), np.array([3])])
def test_a_step_may_be_any_whole_number(given: object) -> None:
    assert built(given) == 3
    assert type(built(given)) is int


def test_the_smallest_and_the_largest_step_are_those_of_64_bits() -> None:
    assert (built(-(2**63)), built(2**63 - 1)) == (-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (2**63, r"int 9\.22"),
        (-(2**63) - 1025, r"int -9\.22"),
        (10**400, "int inf"),
        (7.5, r"float 7\.5"),
        (float("nan"), "float nan"),
        ("seven", "str"),
        ([1], "list"),
    ],
)
def test_a_step_that_is_no_integer_is_refused_in_words(given: object, found: str) -> None:
    with pytest.raises(TelemetryError, match=rf"step: expected an integer of 64 .* found {found}"):
        built(given)


def test_words_that_are_none_of_the_contracts_are_refused_with_the_list() -> None:
    with pytest.raises(TelemetryError, match=r"status: .* ok, aborted, error, found 'fine'"):
        BUILD.run_end(1.0, 1, "fine", None, {})
    with pytest.raises(TelemetryError, match=r"one of info, warning, error, critical, found"):
        BUILD.alert(1.0, 1, severity="bad", code="c", message="m", context={}, extras={})


def test_arguments_of_another_kind_are_refused_in_words() -> None:
    with pytest.raises(TelemetryError, match="recommendations: expected a sequence"):
        BUILD.recommendation(1.0, 1, ["x"], {})  # type: ignore[list-item]  # the value under test
    with pytest.raises(TelemetryError, match="split: expected a string, found NoneType"):
        BUILD.eval(1.0, 1, None, {}, {})  # type: ignore[arg-type]  # the value under test
    with pytest.raises(TelemetryError, match="metrics: expected a mapping, found NoneType"):
        BUILD.eval(1.0, 1, "test", None, {})  # type: ignore[arg-type]  # the value under test
    with pytest.raises(TelemetryError, match="metrics: expected a mapping, found list"):
        BUILD.metrics(1.0, 1, "guard", [], {})  # type: ignore[arg-type]  # the value under test


def test_rates_may_be_a_vector() -> None:
    torch = pytest.importorskip("torch")
    assert step(lr=np.array([0.5, 0.25])).lr == (0.5, 0.25)
    assert step(lr=torch.tensor([0.5, 0.25])).lr == (0.5, 0.25)
    assert step(lr=np.ones(64)).lr == (1.0,) * 64
    assert step(lr=np.ones(65)).extras == {"lr": "[ndarray shape=(65,)]"}
    assert step(lr=np.ones((2, 2))).extras == {"lr": "[ndarray shape=(2, 2)]"}


@pytest.mark.parametrize("at", [-(2**63) - 1, 2**63])
def test_a_step_beyond_64_bits_is_refused_beside_plain_numbers_too(at: int) -> None:
    with pytest.raises(TelemetryError, match="step: expected an integer of 64 bits"):
        BUILD.train_step(1.0, at, loss=1.0, lr=None, grad_norm=None, epoch=None, extras={})


def test_plain_numbers_and_numpys_make_the_same_event() -> None:
    extras = {"entropy": 0.5, "note": "x" * 41, "hub_token": "a"}
    assert step(loss=0.5, lr=0.25, **extras) == step(loss=np.float64(0.5), lr=0.25, **extras)
    assert step(loss=0.5, **extras).extras == {
        "entropy": 0.5,
        "note": "[REDACTED len=41]",
        "hub_token": "[REDACTED secret]",
    }


def test_a_secret_is_no_run_id() -> None:
    assert EventBuilder(run_id=SHAPED["hf_token"]).run_id == "[REDACTED hf_token]"
    assert EventBuilder(run_id="x" * 300).run_id == "x" * 300
