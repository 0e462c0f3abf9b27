"""Paths in text, and names of people and machines."""

import pytest

from gradience.core.telemetry.places import PATH, is_private_name, redact_paths
from tests.core.telemetry.marked_secrets import ORDINARY


@pytest.mark.parametrize(
    "path",
    [
        "/home/marked_user/data.txt", "/a/b", "~/data", "~marked_user/data", "C:\\Users\\marked",
        "D:/marked/data", "\\\\host\\share", "file:///home/marked", "/mnt/marked user/data",
        " /home/marked",
    ],
)  # fmt: skip
def test_a_text_that_is_a_path_is_replaced_as_a_whole(path: str) -> None:
    assert redact_paths(path) == PATH


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("No such file: '/home/marked/x'!", f"No such file: '{PATH}'!"),
        ("PYTHONPATH=/home/a:/home/b python", f"PYTHONPATH={PATH} python"),
        ('in "C:\\Users\\marked\\x" and ~/y', f'in "{PATH}" and {PATH}'),
    ],
)
def test_a_path_within_a_text_is_replaced(text: str, redacted: str) -> None:
    assert redact_paths(text) == redacted
    assert redact_paths(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [*ORDINARY, "org/model", "s3://bucket/a/b", "https://a.b/c/d", "~5/6", "and/or", "a / b / c"],
)
def test_what_is_no_path_is_left_as_it_is(text: str) -> None:
    assert redact_paths(text) is text


@pytest.mark.parametrize(
    "name",
    ["hostname", "host_name", "HOST", "userName", "user", "cwd", "home_dir", "node_hostname"],
)
def test_names_of_people_and_machines_are_announced(name: str) -> None:
    assert is_private_name(name)


@pytest.mark.parametrize(
    "name", ["", "model_name", "num_hosts", "users_per_s", "loss", "ip_adapter"]
)
def test_other_names_announce_nothing(name: str) -> None:
    assert not is_private_name(name)
