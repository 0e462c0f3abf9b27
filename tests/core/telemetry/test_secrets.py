"""Credentials in text are replaced, each by its kind; ordinary text stays."""

import json

import pytest

from gradience.core.telemetry.secrets import placeholder, redact_secrets
from tests.core.telemetry.marked_secrets import (
    HEX,
    IN_CONTEXT,
    MORE_SHAPED,
    ORDINARY,
    PEM_BODY,
    SHAPED,
)


@pytest.mark.parametrize("kind", SHAPED)
def test_a_credential_is_known_by_its_shape(kind: str) -> None:
    assert redact_secrets(SHAPED[kind]) == f"[REDACTED {kind}]" == placeholder(kind)


@pytest.mark.parametrize("secret", MORE_SHAPED)
def test_every_form_of_a_kind_is_known(secret: str) -> None:
    assert redact_secrets(f"({secret}")[:11] == "([REDACTED "
    assert secret not in redact_secrets(f"({secret}")


@pytest.mark.parametrize("kind", SHAPED)
def test_the_text_around_a_credential_stays(kind: str) -> None:
    text = "x" * 1000 + f" <{SHAPED[kind]}> and " + "y" * 1000
    expected = "x" * 1000 + f" <[REDACTED {kind}]> and " + "y" * 1000
    assert redact_secrets(text) == expected


@pytest.mark.parametrize(("kind", "text", "secret"), IN_CONTEXT)
def test_a_credential_is_known_by_what_stands_before_it(kind: str, text: str, secret: str) -> None:
    redacted = redact_secrets(text.format(secret))
    assert secret not in redacted
    assert f"[REDACTED {kind}]" in redacted
    assert redacted[0] == text.format(secret)[0] or kind == "aws_key"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert redact_secrets(text) is text


def test_all_credentials_of_a_text_are_replaced() -> None:
    text = " ".join(SHAPED[kind] for kind in SHAPED if kind != "private_key")
    assert redact_secrets(text) == " ".join(
        f"[REDACTED {kind}]" for kind in SHAPED if kind != "private_key"
    )


def test_a_private_key_without_an_end_is_replaced_to_the_end() -> None:
    text = f"key: -----BEGIN PRIVATE KEY-----\n{PEM_BODY}\n{PEM_BODY}"
    assert PEM_BODY not in redact_secrets(text)
    assert "-----BEGIN PUBLIC KEY" in redact_secrets("-----BEGIN PUBLIC KEY-----")


def test_the_key_file_of_a_service_account_keeps_no_key() -> None:
    text = json.dumps(
        {
            "type": "service_account",
            "private_key_id": HEX,
            "private_key": SHAPED["private_key"],
            "client_email": "a@b.iam",
        }
    )
    redacted = redact_secrets(text)
    assert HEX not in redacted
    assert PEM_BODY not in redacted
    assert '"client_email": "a@b.iam"' in redacted


def test_a_git_hash_is_no_key_of_weights_and_biases() -> None:
    assert redact_secrets(f"wandb, git hash {HEX}") == f"wandb, git hash {HEX}"
    assert redact_secrets(f"wandb: {HEX}") == "wandb: [REDACTED wandb_api_key]"


def test_what_is_redacted_already_keeps_its_kind() -> None:
    text = "password=[REDACTED hf_token] Authorization: [REDACTED authorization]"
    assert redact_secrets(text) is text
