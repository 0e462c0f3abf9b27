"""Texts broken into lines of a given width, styles kept."""

from collections.abc import Sequence

from rich.text import Text


def folded(parts: Sequence[Text], width: int) -> list[Text]:
    """The parts in as few indented lines as they fit into."""
    lines = [Text("  ") + parts[0]]
    for part in parts[1:]:
        if lines[-1].cell_len + 2 + part.cell_len <= width:
            lines[-1] = lines[-1] + "  " + part
        else:
            lines.append(Text("      ") + part)
    return lines


def wrapped(text: Text, width: int, indent: int) -> list[Text]:
    """The text in lines of the width; those after the first are indented."""
    if text.cell_len <= width:
        return [text]
    room = max(width - indent, 1)
    line, rest = _divided(text, width)
    lines = [line]
    while rest.cell_len > room:
        line, rest = _divided(rest, room)
        lines.append(Text(" " * indent) + line)
    return [*lines, Text(" " * indent) + rest] if rest.plain else lines


def one_line(text: Text) -> Text:
    """The text with a space for each control character, such as a newline in a recorded reason."""
    cleaned = text.copy()
    cleaned.plain = cleaned.plain.translate(_CONTROLS)
    return cleaned


_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")


def _divided(text: Text, width: int) -> tuple[Text, Text]:
    """What fits into the width, and the rest from its first word on."""
    place = _last_space(text.plain, width)
    spaces = len(text.plain[place:]) - len(text.plain[place:].lstrip())
    return text[:place], text[place + spaces :]


def _last_space(text: str, width: int) -> int:
    """Where to break a text: before the last word that does not fit, or within a long word."""
    place = text.rfind(" ", 1, width + 1)
    return place if text[:place].strip() and place > 0 else width
