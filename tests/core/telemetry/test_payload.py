"""Plain values: numbers stay numbers, long text is redacted, tensors are never written out."""

import math
from enum import StrEnum

import numpy as np
import pytest

from gradience.core.config.snapshot import LoraSnapshot
from gradience.core.errors import TextViolationError
from gradience.core.severity import Severity
from gradience.core.telemetry.payload import TextPolicy, plain_mapping, plain_value

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
