"""Reads the logs of other tools as events of telemetry v1."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.convert import convert_rows
from gradience.core.foreign_logs.kinds import HEAD_BYTES, LogFileKind
from gradience.core.foreign_logs.lines import row_of_line
from gradience.core.foreign_logs.peft_results import convert_peft_result
from gradience.core.foreign_logs.recognise import (
    is_torchtune_line,
    recognise_document,
    recognise_row,
)
from gradience.core.foreign_logs.refused import describe_bytes
from gradience.core.foreign_logs.rows import Found, NumberedRow
from gradience.core.foreign_logs.trainer_state import convert_log_history, convert_trainer_state
from gradience.core.json_text import parse_json
from gradience.core.severity import Severity
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import AnyEvent, event_name
from gradience.core.telemetry.issues import (
    IssueLog,
    TelemetryIssue,
    line_too_long,
    refusal,
    torn_line,
)
from gradience.shell.telemetry.reader import BATCH_EVENTS, MAX_LINE_BYTES

MAX_DOCUMENT_BYTES = 512 * 2**20
"""Largest JSON document that is read: a trainer state of some millions of rows."""

SAMPLED_LINES = 100
"""First lines that are looked at for one that tells the kind of log."""

BOM = b"\xef\xbb\xbf"
"""Byte order mark that some editors put before UTF-8."""

STATE_MARK = b'"log_history"'
"""Stands in every trainer state, near its beginning."""


class ForeignLog:
    """A log of another tool as a :class:`~gradience.shell.telemetry.run_log.RunLog`.

    Args:
        path: The file.
        kind: What wrote it.
        document: The parsed file, where it is one JSON document.
        strict_schema: Makes every issue of severity warning or above an error.
    """

    def __init__(
        self, path: Path, kind: LogFileKind, document: object, *, strict_schema: bool
    ) -> None:
        self.path = path
        self.kind = kind
        self.strict_schema = strict_schema
        self._document = document
        self._log = IssueLog()

    @property
    def issues(self) -> tuple[TelemetryIssue, ...]:
        """What was odd in the part of the log that the latest pass has read.

        ``line`` numbers the rows of a JSON document, from 1.
        """
        return self._log.listed()

    def iter_events(self, event_type: str | None = None) -> Iterator[AnyEvent]:
        """Yields the events in record order, all or those of one type (``"eval"`` …).

        Raises:
            TelemetryError: The file cannot be read, or (strict) has an issue.
        """
        self._log = IssueLog()
        for number, events, issues in self._found():
            if issues:
                self._log = self._log.add((number, issue) for issue in issues)
                self._raise_if_strict(number, issues)
            for event in events:
                if event_type is None or event_name(event) == event_type:
                    yield event

    def iter_batches(self, size: int = BATCH_EVENTS) -> Iterator[Batch]:
        """Yields the events as columnar batches of at most ``size``."""
        pending: list[AnyEvent] = []
        start = 0
        for event in self.iter_events():
            pending.append(event)
            if len(pending) == size:
                yield build_batch(pending, start)
                start += size
                pending = []
        if pending:
            yield build_batch(pending, start)

    def _found(self) -> Iterator[Found]:
        if isinstance(self._document, list):
            return convert_log_history(self._document)
        if not isinstance(self._document, dict):
            return convert_rows(self.kind, self._rows())
        if self.kind is LogFileKind.PEFT_RESULT:
            return convert_peft_result(self._document, str(self.path))
        return convert_trainer_state(self._document, str(self.path))

    def _rows(self) -> Iterator[NumberedRow]:
        try:
            with self.path.open("rb") as file:
                for number, line in numbered_lines(file):
                    row = line_too_long(MAX_LINE_BYTES) if line is None else self._row(line)
                    yield NumberedRow(number, row)
        except OSError as error:
            raise TelemetryError(f"{self.path}: cannot read the log: {error.strerror}.") from error

    def _row(self, line: bytes) -> Mapping[str, object] | LineIssue:
        is_last = not line.endswith(b"\n")
        if is_last and self.kind is LogFileKind.TORCHTUNE:
            return torn_line(len(line))
        row = row_of_line(self.kind, line.removeprefix(BOM))
        return torn_line(len(line)) if is_last and isinstance(row, LineIssue) else row

    def _raise_if_strict(self, number: int, issues: tuple[LineIssue, ...]) -> None:
        if not self.strict_schema:
            return
        for issue in issues:
            if issue.severity.at_least(Severity.WARNING):
                raise TelemetryError(
                    f"{self.path}:{number}: {issue.message}. Leave out --strict-schema to read "
                    "the rest of the file and list this as an issue."
                )


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, numbered from 1; None for one that is too long to hold."""
    for number in itertools.count(1):
        line = file.readline(MAX_LINE_BYTES)
        if not line:
            return
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            if line.strip():
                yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield number, None


def open_foreign_log(path: Path, head: bytes, *, strict_schema: bool) -> ForeignLog | None:
    """Recognises a log of another tool by its content.

    Args:
        path: The file.
        head: Its first bytes.
        strict_schema: Makes every issue of severity warning or above an error, on reading.

    Returns:
        The log; None where the file is none that is known.

    Raises:
        TelemetryError: The file is of a kind that is no log, is a document that does not parse,
            or is too large to be read as one.
    """
    binary = describe_bytes(head)
    if binary is not None:
        raise TelemetryError(refusal(str(path), binary))
    lines = _first_lines(head)
    if any(map(is_torchtune_line, lines)):
        return ForeignLog(path, LogFileKind.TORCHTUNE, None, strict_schema=strict_schema)
    if not head.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
        return None
    rows = list(map(_parsed, lines))
    of_rows = next((kind for row in rows if (kind := recognise_row(row))), None)
    first = rows[0] if rows else None
    if isinstance(first, Mapping) and recognise_document(first) is None:
        document, kind = None, of_rows
    else:
        document, kind = _document(path, head, of_rows)
    return None if kind is None else ForeignLog(path, kind, document, strict_schema=strict_schema)


def _document(
    path: Path, head: bytes, of_rows: LogFileKind | None
) -> tuple[object, LogFileKind | None]:
    """The parsed file and its kind; no document where its lines are rows after all."""
    try:
        document = read_document(path)
    except TelemetryError:
        if of_rows is None and STATE_MARK in head:
            raise
        return None, of_rows
    return document, recognise_document(document)


def read_document(path: Path) -> object:
    """Parses a file that is one JSON document.

    Raises:
        TelemetryError: It cannot be read, is too large, or does not parse.
    """
    try:
        size = path.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            raise TelemetryError(
                f"{path}: expected a JSON document of at most {MAX_DOCUMENT_BYTES} bytes, found "
                f"one of {size}. Name an earlier checkpoint's trainer_state.json."
            )
        return parse_json(path.read_bytes().removeprefix(BOM))
    except OSError as error:
        raise TelemetryError(f"{path}: cannot read the log: {error.strerror}.") from error
    except ValueError as error:
        raise TelemetryError(
            f"{path}: expected one JSON document, found what does not parse: {error}. The file "
            "seems to be cut off or damaged: name an earlier checkpoint's trainer_state.json."
        ) from error


def _first_lines(head: bytes) -> list[bytes]:
    """The first whole lines of a file, without the last one where the file goes on."""
    lines = head.removeprefix(BOM).split(b"\n")
    if len(head) >= HEAD_BYTES:
        lines.pop()
    return [line for line in lines if line.strip()][:SAMPLED_LINES]


def _parsed(line: bytes) -> object:
    try:
        return parse_json(line)
    except ValueError:
        return None
