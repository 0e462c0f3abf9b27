"""What text may stand in telemetry: the policy, and one text under it."""

import functools
from typing import Literal

import attrs

from gradience.core.errors import TelemetryError, TextViolationError
from gradience.core.telemetry.places import PRIVATE_KIND, is_private_name, redact_paths
from gradience.core.telemetry.secret_names import KEY_LENGTHS, is_secret_name
from gradience.core.telemetry.secrets import SECRET_KIND, redact_secrets

VIOLATION_CHOICES = ("redact", "raise")
"""What a policy may do about a text that is too long."""

MAX_PLAIN_LEN = 64
"""Longest text of which it is remembered that nothing is to be done about it."""


@attrs.frozen(kw_only=True)
class TextPolicy:
    """How much free text may stand in telemetry.

    Telemetry is local and conservative: prompts, labels and documents are long strings, metric
    names and module names are short ones. Credentials are replaced under every policy.
    """

    max_str_len: int = 256
    """Longest string kept as it is, in characters (source: the telemetry contract)."""
    on_violation: Literal["redact", "raise"] = attrs.field(default="redact")
    """Whether a longer string is replaced by ``[REDACTED len=N]`` or refused."""
    allow_text: bool = False
    """Keeps strings of any length, paths, and names of people and machines: the explicit opt-in."""

    @on_violation.validator
    def _check_on_violation(self, _: object, value: object) -> None:
        if value not in VIOLATION_CHOICES:
            choices = " or ".join(map(repr, VIOLATION_CHOICES))
            raise TelemetryError(f"on_text_violation: expected {choices}, found {value!r}")


def plain_text(text: str, policy: TextPolicy, path: str) -> str:
    """A text under the policy: credentials and paths replaced, a long one replaced as a whole.

    Args:
        text: Any string; half a surrogate pair becomes ``?``.
        policy: What may pass.
        path: Dotted place of the text in its record, for the message.

    Returns:
        A plain ``str`` that UTF-8 can hold, at most ``policy.max_str_len`` characters long unless
        text is allowed or the policy is shorter than the words that stand for a redaction.

    Raises:
        TextViolationError: The text is longer than the policy allows and the policy says raise.
    """
    if policy.allow_text:
        return redact_secrets(_encodable(text))
    if len(text) > policy.max_str_len:
        if policy.on_violation == "raise":
            raise TextViolationError(
                f"{path or 'value'}: expected a string of at most {policy.max_str_len} "
                f"characters, found {len(text)}. Shorten it, or allow text explicitly with "
                "allow_text=True."
            )
        return f"[REDACTED len={len(text)}]"
    redacted = redact_paths(redact_secrets(_encodable(text)))
    return redacted if len(redacted) <= policy.max_str_len else f"[REDACTED len={len(text)}]"


def kind_by_name(name: str, policy: TextPolicy) -> str | None:
    """Why the text under a name may not be written, whatever it is; None where it may."""
    if is_secret_name(name):
        return SECRET_KIND
    return PRIVATE_KIND if not policy.allow_text and is_private_name(name) else None


@functools.lru_cache(maxsize=1024)
def is_plain_text(text: str) -> bool:
    """Whether a text stays as it is under the default policy, as a name and as a value anywhere.

    What is remembered of the short texts that a run writes again and again. Neither the text as a
    name announces anything, nor its length a key that only its place tells.
    """
    strict = TextPolicy()
    return (
        len(text) <= MAX_PLAIN_LEN
        and len(text) not in KEY_LENGTHS
        and plain_text(text, strict, "") == text
        and kind_by_name(text, strict) is None
    )


def _encodable(text: str) -> str:
    return str(text) if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
