"""Lines of a foreign log, as rows."""

from collections.abc import Mapping

from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.line_formats import torchtune_row
from gradience.core.json_text import parse_json
from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue


def row_of_line(kind: LogFileKind, line: bytes) -> Mapping[str, object] | LineIssue:
    """The row that a line holds, or what is wrong with it; never raises.

    Args:
        kind: Whose line it is: ``TORCHTUNE`` is text, any other JSON.
        line: One line, with or without its newline.
    """
    if kind is LogFileKind.TORCHTUNE:
        row = torchtune_row(line.decode("utf-8", "replace").strip())
        found = "expected 'Step N | name:value …', found another line; not read"
        return _issue("odd_line", found) if row is None else row
    try:
        value = parse_json(line)
    except ValueError as error:
        return _issue("not_json", f"expected one JSON object, found what does not parse: {error}")
    if not isinstance(value, Mapping):
        found = f"expected a JSON object, found {type(value).__name__}"
        return _issue("not_object", found)
    return value


def _issue(code: str, message: str) -> LineIssue:
    return LineIssue(Severity.WARNING, code, message)
