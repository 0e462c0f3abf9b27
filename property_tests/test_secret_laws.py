"""Laws of redaction: a planted secret never survives, what is ordinary always does."""

import json

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.core.telemetry.marked_secrets import ORDINARY, ORDINARY_NAMES, SECRET_NAMES

from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.payload import plain_mapping, plain_value
from gradience.core.telemetry.places import redact_paths
from gradience.core.telemetry.secrets import redact_secrets
from gradience.core.telemetry.text_policy import TextPolicy
from property_tests.test_payload_laws import events_with

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ALNUM = UPPER + UPPER.lower()
URL = ALNUM + "_-"


def random_text(alphabet: str, least: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most or least)


def after(prefix: str, rest: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return rest.map(lambda text: prefix + text)


SHAPED = st.one_of(
    after("hf_", random_text(ALNUM, 34)),
    after("wandb_v1_", random_text(URL, 40)),
    after("AKIA", random_text(UPPER, 16)),
    after("ASIA", random_text(UPPER, 16)),
    after("AIza", random_text(URL, 35)),
    *(after(f"gh{kind}_", random_text(ALNUM, 36)) for kind in "pousr"),
    after("github_pat_", random_text(ALNUM + "_", 82)),
    after("glpat-", random_text(URL, 20)),
    after("sk-", random_text(ALNUM, 48)),
    after("sk-proj-", random_text(URL, 48)),
    after("sk-ant-api03-", random_text(URL, 90)),
    after("xoxb-", random_text(ALNUM + "-", 24, 50)),
    after("sk_live_", random_text(ALNUM, 24)),
    st.tuples(*[random_text(URL, 12, 40)] * 3).map(lambda parts: "eyJ" + ".".join(parts)),
    after("-----BEGIN RSA PRIV" + "ATE KEY-----\n", random_text(ALNUM + "+/\n", 64, 200)),
)
"""Credentials of the lengths in use."""

AROUND = st.text(max_size=20) | st.sampled_from(["", "key ", "see https://a.b/", '{"a": "', "x, "])
BEFORE = st.sampled_from(
    [
        " ", " ", "PRIVATE_KEY=", "password: ", "Authorization: ", "bearer ", "--token ", "aws ",
        "https://", "https://a:b@c/", '{"api_key": "', '{\\"secret\\": \\"', "wandb ", "sig=",
        "AK" + "IAIOSFODNN7EXAMPLE ", "token=[REDACTED hf_token] ",
    ]
)  # fmt: skip
"""What may stand right before a secret, and be taken for the beginning of another."""
POLICIES = st.builds(TextPolicy, max_str_len=st.integers(32, 400), allow_text=st.booleans())
NUMBERS = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats()


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, object]:
    """A secret, and a value with it somewhere inside."""
    secret = draw(SHAPED)
    around = f"{draw(AROUND)}{draw(BEFORE)}", f" {draw(AROUND)}"
    assume(not any(secret[-TAIL:] in text for text in around))
    assume(any(letter.isupper() for letter in secret[-TAIL:]))  # no word of the record itself
    text = secret.join(around)
    value: object = draw(st.sampled_from([text, secret, secret.encode(), np.str_(text)]))
    for _ in range(draw(st.integers(0, 4))):
        nests: list[object] = [[1, value], (value,), {"inner": value}, {text: value}, {secret: 1}]
        if isinstance(value, str):
            nests.append({value})
        value = draw(st.sampled_from(nests))
    return secret, value


TAIL = 12
"""Characters of a secret's end, fewer than any shape asks for."""


def tail(secret: str) -> bytes:
    """The end of a secret as JSON writes it: what is left where only its beginning was taken."""
    return json.dumps(secret[-TAIL:])[1:-1].encode()


@given(planted(), POLICIES)
def test_a_planted_secret_is_never_written(case: tuple[str, object], policy: TextPolicy) -> None:
    secret, value = case
    for event in events_with(value, f"use {secret} now", policy):
        assert tail(secret) not in encode_event(event)


@given(secret=SHAPED)
def test_a_secret_is_no_run_id(secret: str) -> None:
    assume(any(letter.isupper() for letter in secret[-TAIL:]))
    builder = EventBuilder(run_id=secret)
    line = encode_event(builder.run_end(1.0, 1, "error", f"in {secret}", {}))
    assert tail(secret) not in line


@given(st.sampled_from(SECRET_NAMES), st.text("mark", min_size=5, max_size=400), POLICIES, NUMBERS)
def test_any_text_under_a_secrets_name_is_redacted_and_numbers_stay(
    name: str, text: str, policy: TextPolicy, number: object
) -> None:
    values = {name: [text, {"inner": text}], "outer": {name.upper(): text}, "n": {name: number}}
    plain = plain_mapping(values, policy)
    assert text not in repr(plain)
    assert repr(plain["n"]) == repr({name: number})


HEX = st.text("0123456789abcdef", min_size=40, max_size=64)
ORDINARY_TEXTS = (
    st.sampled_from(ORDINARY)
    | HEX
    | st.uuids().map(str)
    | st.floats().map(repr)
    | st.integers().map(str)
    | st.from_regex(r"[a-z]{1,12}(_[a-z]{1,12}){0,3}", fullmatch=True).filter(
        lambda text: not text.startswith(("hf_", "api_org_"))
    )
    | st.from_regex(
        r"[a-z]{2,9}(-[a-z]{2,9})?/[A-Z][a-z]{1,9}-[0-9]\.[0-9]-[0-9]{1,3}B(-[A-Z][a-z]{1,9})?",
        fullmatch=True,
    )
    | st.from_regex(
        r"[a-z]{1,9}(_[a-z]{1,9})?-[0-9]{5}-of-[0-9]{5}\.(safetensors|bin)", fullmatch=True
    )
)


@given(ORDINARY_TEXTS.filter(lambda text: len(text) <= 256), st.sampled_from(ORDINARY_NAMES))
def test_ordinary_text_under_ordinary_names_stays(text: str, name: str) -> None:
    values = {name: text, "inner": [{name: text}]}
    assert plain_value(values, TextPolicy()) == values


@given(
    st.lists(SHAPED | AROUND | st.sampled_from(SECRET_NAMES), max_size=6), st.sampled_from(" =:/")
)
def test_redacting_again_changes_nothing(parts: list[str], joint: str) -> None:
    once = redact_secrets(joint.join(parts))
    assert redact_secrets(once) == once
    assert redact_paths(redact_paths(once)) == redact_paths(once)
    assert plain_value(once, TextPolicy()) == plain_value(
        plain_value(once, TextPolicy()), TextPolicy()
    )
