"""Plain values: numbers stay numbers, long text is redacted, tensors are never written out."""

import math
from enum import StrEnum

import numpy as np
import pytest

from gradience.core.config.snapshot import LoraSnapshot
from gradience.core.errors import TextViolationError
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.payload import TOO_DEEP, plain_mapping, plain_value
from gradience.core.telemetry.text_policy import TextPolicy
from tests.core.telemetry.marked_secrets import HEX, SHAPED

POLICY = TextPolicy()


class Flavour(StrEnum):
    """An enum whose members are strings."""

    SWEET = "sweet"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),  # noqa: FBT003  # the value under test
        (np.ones(1), 1.0),
        (np.array(2), 2),
        (np.zeros((2, 3)), "[ndarray shape=(2, 3)]"),
        (np.zeros(0), "[ndarray shape=(0,)]"),
        (Severity.INFO, "info"),
        (Flavour.SWEET, "sweet"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, (2,)), [1, [2]]),
        (range(2), [0, 1]),
        (b"bytes", "[bytes]"),
        (object(), "[object]"),
        (2**63 - 1, 2**63 - 1),
        (2**63, float(2**63)),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_anything_becomes_plain(value: object, plain: object) -> None:
    found = plain_value(value, POLICY)
    assert found == plain
    assert type(found) is type(plain)


def test_a_torch_scalar_becomes_a_number() -> None:
    torch = pytest.importorskip("torch")
    assert plain_value(torch.tensor(1.5, requires_grad=True), POLICY) == 1.5
    assert plain_value(torch.tensor([2]), POLICY) == 2
    assert plain_value(torch.zeros(2, 2), POLICY) == "[Tensor shape=(2, 2)]"


def test_a_string_subclass_becomes_a_string() -> None:
    assert type(plain_value(np.str_("text"), POLICY)) is str


def test_a_struct_becomes_a_dict() -> None:
    found = plain_value(LoraSnapshot(r=8), POLICY)
    assert isinstance(found, dict)
    assert found["r"] == 8


def test_nan_stays_a_number() -> None:
    assert repr(plain_value(np.float32("nan"), POLICY)) == "nan"


@pytest.mark.parametrize(("length", "kept"), [(256, True), (257, False)])
def test_a_string_of_256_characters_is_the_longest(length: int, kept: bool) -> None:  # noqa: FBT001
    text = "é" * length
    assert plain_value(text, POLICY) == (text if kept else f"[REDACTED len={length}]")


def test_long_keys_are_redacted_too() -> None:
    assert plain_mapping({"k" * 300: 1}, POLICY) == {"[REDACTED len=300]": 1}


def test_text_can_be_allowed() -> None:
    assert plain_value("x" * 300, TextPolicy(allow_text=True)) == "x" * 300


def test_a_policy_that_raises_names_the_place_and_never_the_text() -> None:
    policy = TextPolicy(on_violation="raise", max_str_len=4)
    with pytest.raises(
        TextViolationError, match=r"^a\.b: expected .* at most 4 characters, found 6\."
    ) as caught:
        plain_mapping({"a": {"b": "secret"}}, policy)
    assert "secret" not in str(caught.value)
    assert "allow_text=True" in str(caught.value)


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert plain_value("a\ud800", POLICY) == "a?"


def test_what_is_nested_too_deeply_is_named_and_the_rest_can_be_read() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = {"a": deep}
    event = EventBuilder(run_id="r").eval(1.0, 1, "test", {"deep": deep, "loss": 2.0}, {})
    read, issues = decode_line(encode_event(event))
    assert (repr(read), issues) == (repr(event), ())
    assert TOO_DEEP in repr(read)


def test_a_container_within_itself_does_not_raise() -> None:
    cycle: dict[str, object] = {"n": 1}
    cycle.update(one=cycle, other=[cycle])
    expected = {"n": 1, "one": TOO_DEEP, "other": [TOO_DEEP]}
    assert plain_value(cycle, POLICY) == expected
    assert plain_mapping(cycle, POLICY) == expected


@pytest.mark.parametrize("error", [RuntimeError, OverflowError, KeyError])
def test_a_foreign_object_that_raises_is_named_by_its_type(error: type[Exception]) -> None:
    class Foreign:
        def item(self) -> object:
            raise error("broken")

    class Shapeless(Foreign):
        @property
        def shape(self) -> object:
            raise error("broken")

    assert plain_value(Foreign(), POLICY) == "[Foreign]"
    assert plain_value(Shapeless(), POLICY) == "[Shapeless]"


def test_long_keys_that_redact_to_the_same_text_are_kept_apart() -> None:
    values = {"a" * 300: 1, "b" * 300: 2, "c" * 300: 3}
    assert plain_mapping(values, POLICY) == {
        "[REDACTED len=300]": 1,
        "[REDACTED len=300 #2]": 2,
        "[REDACTED len=300 #3]": 3,
    }
    assert plain_value({1: "a", "1": "b"}, POLICY) == {"1": "a", "1 #2": "b"}


def test_text_under_a_secrets_name_is_redacted_at_any_depth_and_numbers_stay() -> None:
    values = {
        "api_key": "short",
        "credentials": {"client": ("a", {"b": Flavour.SWEET}), "n": 3, "on": True, "none": None},
        "token": np.str_("text"),
        "password": "",
        "pad_token": "<pad>",
        "max_new_tokens": 128,
        "secret_accuracy": 0.5,
    }
    assert plain_value(values, TextPolicy(allow_text=True)) == {
        "api_key": "[REDACTED secret]",
        "credentials": {
            "client": ["[REDACTED secret]", {"b": "[REDACTED secret]"}],
            "n": 3,
            "on": True,
            "none": None,
        },
        "token": "[REDACTED secret]",
        "password": "",
        "pad_token": "<pad>",
        "max_new_tokens": 128,
        "secret_accuracy": 0.5,
    }


def test_forty_hexadecimal_digits_are_a_key_only_by_their_place() -> None:
    values = {"wandb": {"key": HEX, "commit": HEX}, "git_hash": HEX}
    assert plain_mapping(values, POLICY) == {
        "wandb": {"key": "[REDACTED wandb_api_key]", "commit": HEX},
        "git_hash": HEX,
    }


def test_a_secret_in_a_key_is_redacted_and_the_place_in_a_message_does_not_show_it() -> None:
    token = SHAPED["hf_token"]
    assert plain_mapping({token: 1, f"{token}a": 2}, POLICY) == {
        "[REDACTED hf_token]": 1,
        "[REDACTED hf_token #2]": 2,
    }
    policy = TextPolicy(on_violation="raise", max_str_len=64)
    with pytest.raises(TextViolationError) as caught:
        plain_mapping({token: "x" * 65}, policy)
    assert token not in str(caught.value)


def test_names_of_people_and_machines_are_kept_only_by_opt_in() -> None:
    values = {"hostname": "node-7", "dir": "/home/somebody/x", "user": {"name": "somebody"}}
    assert plain_mapping(values, POLICY) == {
        "hostname": "[REDACTED private]",
        "dir": "[REDACTED path]",
        "user": {"name": "[REDACTED private]"},
    }
    assert plain_mapping(values, TextPolicy(allow_text=True)) == values


def test_a_name_that_is_plain_by_itself_is_still_too_long_for_a_strict_policy() -> None:
    assert plain_mapping({"learning_rate": 1.0}, TextPolicy(max_str_len=8)) == {
        "[REDACTED len=13]": 1.0
    }


@pytest.mark.parametrize("item", [2**63, True, None, HEX, "a\ud800", "/home/somebody", "x" * 65])
def test_the_short_way_of_plain_numbers_agrees_with_the_long_one(item: object) -> None:
    short, long = {"wandb": item, "n": 1}, {"wandb": item, "n": 1, "list": []}
    plain = plain_mapping(short, POLICY)
    assert plain_mapping(long, POLICY) == {**plain, "list": []}
    assert plain is not short
