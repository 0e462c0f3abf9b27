"""Files that are no text are named."""

import pytest

from gradience.core.foreign_logs.refused import describe_bytes


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x1f\x8b\x08\x00", "a gzip archive (unpack it first)"),
        (b"PK\x03\x04....", "a zip archive or a torch checkpoint"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"\x80\x04\x95", "a pickle (never unpacked"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}', "gradience audit"),
        (b"\x18\x00\x00\x00\x00\x00\x00\x00....\x09....\x1a\x0dbrain.Event:2", "TensorBoard"),
        (b"\xff\xfe{\x00", "UTF-16"),
    ],
)
def test_bytes_are_named_with_a_remedy(head: bytes, words: str) -> None:
    assert words in (describe_bytes(head) or "")


@pytest.mark.parametrize("head", [b"", b"{}", b'{"step": 1}\n', b"Step 1 | loss:2", b"# a run\n"])
def test_text_is_not(head: bytes) -> None:
    assert describe_bytes(head) is None
