"""One text under the policy."""

import pytest

from gradience.core.errors import TelemetryError, TextViolationError
from gradience.core.telemetry.text_policy import (
    TextPolicy,
    is_plain_text,
    kind_by_name,
    plain_text,
)
from tests.core.telemetry.marked_secrets import SHAPED

POLICY = TextPolicy()
OPEN = TextPolicy(allow_text=True)
TOKEN = SHAPED["hf_token"]


def test_secrets_go_even_where_text_is_allowed() -> None:
    text = f"use {TOKEN} in /home/marked " + "x" * 300
    assert plain_text(text, OPEN, "") == text.replace(TOKEN, "[REDACTED hf_token]")


def test_paths_stay_only_where_text_is_allowed() -> None:
    assert plain_text("see /home/marked", OPEN, "") == "see /home/marked"
    assert plain_text("see /home/marked", POLICY, "") == "see [REDACTED path]"


def test_a_redaction_that_makes_a_text_too_long_takes_the_whole_text() -> None:
    text = "password=a " * 3
    assert plain_text(text, TextPolicy(max_str_len=40), "") == f"[REDACTED len={len(text)}]"


def test_a_policy_that_raises_names_the_place_and_never_the_text() -> None:
    with pytest.raises(TextViolationError, match=r"^a\.b: expected .* at most 4 .*, found 5\."):
        plain_text("marks", TextPolicy(on_violation="raise", max_str_len=4), "a.b")


def test_a_secret_of_allowed_length_is_redacted_where_long_text_raises() -> None:
    policy = TextPolicy(on_violation="raise")
    assert plain_text(TOKEN, policy, "") == "[REDACTED hf_token]"


def test_what_a_name_announces() -> None:
    assert kind_by_name("hub_token", OPEN) == "secret"
    assert kind_by_name("hostname", POLICY) == "private"
    assert kind_by_name("hostname", OPEN) is None
    assert kind_by_name("loss", POLICY) is None


@pytest.mark.parametrize(
    "text", ["hub_token", "hostname", TOKEN, "/home/marked", "x" * 65, "a\ud800", "0123456789" * 4]
)
def test_a_text_about_which_something_is_to_be_done_is_not_plain(text: str) -> None:
    assert not is_plain_text(text)
    assert is_plain_text("learning_rate")


def test_what_to_do_about_text_is_one_of_two_words() -> None:
    with pytest.raises(TelemetryError, match=r"expected 'redact' or 'raise', found 'ignore'"):
        TextPolicy(on_violation="ignore")  # type: ignore[arg-type]  # the value under test
