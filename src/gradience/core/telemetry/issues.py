"""What was odd about a telemetry file, and what a file of another tool is called."""

from collections.abc import Iterable, Mapping

import attrs
import msgspec

from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import TELEMETRY_SCHEMA_VERSION

MAX_DISTINCT_ISSUES = 100
"""Different issues kept per file; further ones are only counted, so memory stays bounded."""


class TelemetryIssue(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of oddity in a file, with the first line that shows it."""

    severity: Severity
    code: str
    message: str
    line: int
    """Number of the first such line, from 1; 0 where the issue is about the whole file."""
    count: int = 1
    """Lines with the very same message."""


@attrs.frozen
class IssueLog:
    """The issues of a file so far, equal ones counted together; ``add`` returns a new log."""

    issues: Mapping[tuple[str, str], TelemetryIssue] = attrs.field(factory=dict)
    dropped: int = 0

    def add(self, found: Iterable[tuple[int, LineIssue]]) -> "IssueLog":
        """The log with more line issues, each with its line number."""
        issues = dict(self.issues)
        dropped = self.dropped
        for line, issue in found:
            key = (issue.code, issue.message)
            if key in issues:
                issues[key] = msgspec.structs.replace(issues[key], count=issues[key].count + 1)
            elif len(issues) < MAX_DISTINCT_ISSUES:
                severity, code, message = issue
                issues[key] = TelemetryIssue(
                    severity=severity, code=code, message=message, line=line
                )
            else:
                dropped += 1
        return IssueLog(issues, dropped)

    def listed(self) -> tuple[TelemetryIssue, ...]:
        """The issues by first line; a last one says how many more there were."""
        listed = tuple(sorted(self.issues.values(), key=lambda issue: issue.line))
        if not self.dropped:
            return listed
        return (*listed, _more(self.dropped))


def _more(count: int) -> TelemetryIssue:
    message = f"{count} further issues, beyond the {MAX_DISTINCT_ISSUES} listed"
    return TelemetryIssue(
        severity=Severity.WARNING, code="more_issues", message=message, line=0, count=count
    )


_FOREIGN_LOGS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"log_history"}), "a Hugging Face trainer_state.json"),
    (frozenset({"current_steps", "total_steps"}), "a LLaMA-Factory trainer_log.jsonl"),
    (frozenset({"train_info", "run_info"}), "a PEFT method-comparison result"),
    (
        frozenset({"timestamp", "event", "data"}),
        "an event log of another layout (timestamp, event, data)",
    ),
    (frozenset({"step", "loss"}), "a plain step log (such as torchtune's DiskLogger)"),
    (frozenset({"peft_type"}), "a PEFT adapter_config.json (try: gradience check)"),
)


def describe_foreign_log(record: object) -> str:
    """Names the layout of a record that is not telemetry v1, for a refusal.

    Args:
        record: A parsed JSON value.

    Returns:
        A phrase such as ``"a Hugging Face trainer_state.json"``, or the schema or keys found.
    """
    if isinstance(record, list):
        return "a JSON list (such as a bare Trainer log_history)"
    if not isinstance(record, Mapping):
        return f"a JSON {type(record).__name__}"
    if "schema" in record:
        return f"schema {record['schema']!r}"
    for keys, name in _FOREIGN_LOGS:
        if keys <= record.keys():
            return name
    return "records without a schema (keys: " + ", ".join(list(map(str, record))[:8]) + ")"


def refusal(place: str, found: str) -> str:
    """The message with which a file that is not telemetry v1 is refused."""
    return (
        f"{place}: expected telemetry of schema {TELEMETRY_SCHEMA_VERSION!r} (JSON Lines, one "
        f"event a line), found {found}. Record the run with GradienceCallback(), or name a file "
        "that it wrote."
    )
