"""What was odd about a telemetry file, and what a file of another tool is called."""

from collections.abc import Iterable, Mapping

import attrs
import msgspec

from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import TELEMETRY_SCHEMA_VERSION

MAX_DISTINCT_ISSUES = 100
"""Different issues kept per file; further ones are only counted, so memory stays bounded."""


def line_too_long(limit: int) -> LineIssue:
    """The issue of a line of ``limit`` bytes or more, which is not read."""
    return LineIssue(
        Severity.WARNING,
        "line_too_long",
        f"expected a line of less than {limit} bytes, found a longer one; not read",
    )


def torn_line(n_bytes: int) -> LineIssue:
    """The issue of a last line that ends after so many bytes without a newline."""
    return LineIssue(
        Severity.WARNING,
        "torn_line",
        f"the last line is cut off after {n_bytes} bytes (the writer was stopped while "
        "writing); everything before it was read",
    )


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


_READ = "(read by: gradience monitor, gradience convert)"
"""Beside the logs of other tools: the reader of telemetry is not what reads them."""

_CHECK = "(a configuration; try: gradience check)"

_FOREIGN_LOGS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(keys.split()), name)
    for keys, name in (
        ("log_history", f"a Hugging Face trainer_state.json {_READ}"),
        ("current_steps total_steps", f"a LLaMA-Factory trainer_log.jsonl {_READ}"),
        ("global_step/max_steps", f"an ms-swift logging.jsonl {_READ}"),
        ("train_info run_info", f"a PEFT method-comparison result {_READ}"),
        ("timestamp event data", "an event log of another layout (timestamp, event, data)"),
        ("step loss", f"a plain step log (such as torchtune's DiskLogger) {_READ}"),
        ("_runtime _step", "a W&B history (name the run's trainer_state.json or run.jsonl)"),
        ("loss val_loss", "a Keras history"),
        ("peft_type", "a PEFT adapter_config.json (try: gradience check)"),
        ("lora_parameters", f"an mlx-lm adapter_config.json {_CHECK}"),
        ("architectures", "a model's config.json"),
        ("hidden_size model_type", "a model's config.json"),
        ("per_device_train_batch_size", f"Hugging Face training arguments {_CHECK}"),
        ("bench_version probe", "a benchmark report"),
        ("bench_version seed_runs", "a benchmark's aggregate report"),
        ("bench_version", "a benchmark's configuration or report"),
        ("verdicts probe_baseline", "a benchmark's verdicts"),
        ("protocol_invariants", "a benchmark's invariants"),
        ("stable_rank_mean total_lora_params", "an audit report (try: gradience explain)"),
        ("audit_timestamp probe_rank", "an audit report (try: gradience explain)"),
        ("policy_disagreement_analysis", "an audit report (try: gradience explain)"),
        ("config recommendations telemetry_issues", "a report of gradience monitor"),
        ("config recommendations", "a report of gradience check"),
        ("eval_loss eval_runtime", "the metrics of one evaluation, no log of a run"),
        ("train_loss train_runtime", "the Trainer's closing summary, no log of a run"),
        ("metadata weight_map", "the index of a model's weights (try: gradience audit)"),
        ("added_tokens model version", "a tokenizer.json"),
        ("optimizer lora training", f"a Gradience config {_CHECK}"),
        ("finetuning_type", f"a LLaMA-Factory config {_CHECK}"),
    )
)
"""Keys → what a JSON document that has them is, and what to do with it; the first match counts."""


def describe_foreign_log(record: object) -> str:
    """Names the layout of a record that is not telemetry v1, for a refusal.

    Args:
        record: A parsed JSON value.

    Returns:
        A phrase such as ``"a Hugging Face trainer_state.json"``, or the schema or keys found.
    """
    if isinstance(record, list):
        return _described_list(record)
    if not isinstance(record, Mapping):
        return f"a JSON {type(record).__name__}"
    if "schema" in record:
        return f"schema {record['schema']!r}"
    for keys, name in _FOREIGN_LOGS:
        if keys <= record.keys():
            return name
    if not record:
        return "an empty JSON object"
    return "records without a schema (keys: " + ", ".join(list(map(str, record))[:8]) + ")"


def _described_list(items: list[object]) -> str:
    if not items:
        return "an empty JSON list"
    if isinstance(items[0], Mapping) and items[0].get("schema") == TELEMETRY_SCHEMA_VERSION:
        return "a JSON list of events (write one event a line instead)"
    return "a JSON list (no bare Trainer log_history: none of its rows holds a step with a loss)"


def refusal(place: str, found: str) -> str:
    """The message with which a file that is not telemetry v1 is refused."""
    return (
        f"{place}: expected telemetry of schema {TELEMETRY_SCHEMA_VERSION!r} (JSON Lines, one "
        f"event a line), found {found}. Record the run with GradienceCallback(), or name a log "
        "that is read: telemetry, trainer_state.json, trainer_log.jsonl, logging.jsonl …"
    )
