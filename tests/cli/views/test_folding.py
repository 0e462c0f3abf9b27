"""Texts broken into lines."""

import pytest
from rich.text import Text

from gradience.cli.views.folding import folded, one_line, wrapped


def lines(text: str, width: int, indent: int = 2) -> list[str]:
    return [line.plain for line in wrapped(Text(text), width, indent)]


def test_a_text_that_fits_is_one_line() -> None:
    assert lines("one two", 7) == ["one two"]


def test_a_longer_one_is_broken_between_words_and_indented() -> None:
    assert lines("one two three four", 9) == ["one two", "  three", "  four"]


def test_a_word_that_is_too_long_is_broken() -> None:
    assert lines("abcdefghij", 4) == ["abcd", "  ef", "  gh", "  ij"]


@pytest.mark.parametrize("width", range(1, 12))
def test_no_word_is_lost_at_any_width(width: int) -> None:
    text = "a bb ccc dddd eeeee"
    found = lines(text, width, 0)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    assert max(map(len, found)) <= width


def test_styles_stay() -> None:
    text = Text("one two")
    text.stylize("red", 4, 7)
    second = wrapped(text, 4, 1)[1]
    assert (second.plain, [str(span.style) for span in second.spans]) == (" two", ["red"])


def test_parts_share_lines_as_they_fit() -> None:
    parts = [Text("first"), Text("second"), Text("third")]
    assert [line.plain for line in folded(parts, 15)] == ["  first  second", "      third"]
    assert len(folded(parts, 80)) == 1


def test_control_characters_do_not_break_a_line() -> None:
    text = Text("one\ntwo\x1b[2J\u0085three", style="red")
    text.stylize("bold", 4, 7)
    found = one_line(text)
    assert found.plain == "one two [2J three"
    assert (found.style, found.spans) == (text.style, text.spans)
    assert "\n" in text.plain
