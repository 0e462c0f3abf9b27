"""Names that announce a credential, and names of the field's own vocabulary that do not."""

import pytest

from gradience.core.telemetry.secret_names import is_secret_name, kind_by_context
from tests.core.telemetry.marked_secrets import BASE64, HEX, ORDINARY_NAMES, SECRET_NAMES


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secrets_name_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", *ORDINARY_NAMES])
def test_an_ordinary_name_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        (HEX, "wandb.key", "wandb_api_key"),
        (HEX, "WANDB_KEYS.0", "wandb_api_key"),
        (f"local-{HEX}", "wandb.key", "wandb_api_key"),
        (HEX, "wandb.commit", None),
        (HEX, "wandb.git_hashes.commit.0", None),
        (HEX, "git_hash", None),
        (HEX, "", None),
        (HEX[:39], "wandb.key", None),
        (BASE64, "aws.value", "aws_secret"),
        (BASE64, "wandb.value", None),
        (HEX, "aws.value", None),
    ],
)
def test_forty_characters_are_a_key_only_where_the_place_says_so(
    text: str, path: str, kind: str | None
) -> None:
    assert kind_by_context(text, path) == kind
