"""Scores the monitor's alerts against what a careful reader sees in real logs.

``python -m benchmarks.labels [DATA]`` prints, per alert code, precision and recall, then every miss
and every false alarm: an alert of severity warning or above whose code its log's labels do not
name. Alerts of severity info are listed apart. Exits with 1 where there is a miss or a false alarm.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from gradience.api.monitoring import monitor
from gradience.core.errors import GradienceError
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.severity import Severity

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real logs of other projects, beside the checkout."""

LABELS = "LABELS.json"

QUIET_LOGS = (
    "other_logs/*/trainer_log.jsonl",
    "trainer_state/*/training_logs.json",
    "trainer_state/results_dir_with_several_runs/results/*/trainer_state.json",
    "gradience/telemetry_v1/*.jsonl",
)
"""Further logs, without labels: whatever is raised there is listed for a look."""

EXPECTED_UNSAID = frozenset({"run_unfinished", "gap_unavailable"})
"""Infos about the record rather than the run, left out of the listing."""


class LogLabels(msgspec.Struct, frozen=True, kw_only=True):
    """What a careful reader sees in one log."""

    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    """At least one of these; none where it is empty."""

    @property
    def named(self) -> frozenset[str]:
        """Every code that is no false alarm."""
        return frozenset({*self.must, *self.may, *self.any_of})


class _LabelFile(msgspec.Struct, frozen=True, kw_only=True):
    conditions: Mapping[str, str]
    logs: Mapping[str, LogLabels]


class LogScore(NamedTuple):
    """How the alerts of one log compare with its labels."""

    log: str
    found: tuple[str, ...]
    """Codes of ``must`` that were raised, at any severity."""
    missed: tuple[str, ...]
    """Codes of ``must`` that were not; ``any of …`` where none of those was."""
    permitted: tuple[str, ...]
    """Raised at warning or above, of ``may`` or ``any_of``."""
    false_alarms: tuple[MonitorAlert, ...]
    infos: tuple[MonitorAlert, ...]
    error: str | None = None
    """Why the log could not be read."""


AlertSource = Callable[[Path], Iterable[MonitorAlert]]
"""Path of a log → its alerts."""


def read_labels(data: Path) -> Mapping[str, LogLabels]:
    """The labels, by the log's path below ``data``."""
    return msgspec.json.decode((data / LABELS).read_bytes(), type=_LabelFile).logs


def conditions(data: Path) -> tuple[str, ...]:
    """The codes that the labels use."""
    file = msgspec.json.decode((data / LABELS).read_bytes(), type=_LabelFile)
    return tuple(file.conditions)


def score_log(log: str, labels: LogLabels, alerts: Iterable[MonitorAlert]) -> LogScore:
    """Compares the alerts of a log with its labels.

    Args:
        log: Its name.
        labels: What a careful reader sees in it.
        alerts: What the monitor raised.
    """
    alerts = tuple(alerts)
    raised = {alert.code for alert in alerts}
    loud = [alert for alert in alerts if alert.severity.at_least(Severity.WARNING)]
    missed = [code for code in labels.must if code not in raised]
    if labels.any_of and raised.isdisjoint(labels.any_of):
        missed.append("any of " + ", ".join(labels.any_of))
    return LogScore(
        log=log,
        found=tuple(code for code in labels.must if code in raised),
        missed=tuple(missed),
        permitted=tuple(a.code for a in loud if a.code in labels.named - {*labels.must}),
        false_alarms=tuple(alert for alert in loud if alert.code not in labels.named),
        infos=tuple(a for a in alerts if a.severity is Severity.INFO),
    )


def report_alerts(path: Path) -> tuple[MonitorAlert, ...]:
    """The alerts that ``gradience monitor`` raises."""
    return monitor(path).alerts


def score_logs(data: Path = DATA, source: AlertSource = report_alerts) -> tuple[LogScore, ...]:
    """Scores every labelled log below ``data``.

    Args:
        data: Folder with the label file and the logs.
        source: What is scored.

    Returns:
        One score per log, in the file's order; a log that cannot be read misses all its codes.
    """
    return tuple(_score(data, log, labels, source) for log, labels in read_labels(data).items())


def _score(data: Path, log: str, labels: LogLabels, source: AlertSource) -> LogScore:
    try:
        return score_log(log, labels, source(data / log))
    except GradienceError as error:
        return score_log(log, labels, ())._replace(error=str(error))


class CodeScore(NamedTuple):
    """Counts of one code over all logs."""

    code: str
    found: int
    missed: int
    false_alarms: int
    permitted: int

    @property
    def precision(self) -> float | None:
        """Alerts at warning or above that the labels name, and musts found, among all of those."""
        right = self.found + self.permitted
        return right / (right + self.false_alarms) if right + self.false_alarms else None

    @property
    def recall(self) -> float | None:
        """Musts found."""
        return self.found / (self.found + self.missed) if self.found + self.missed else None


def score_codes(scores: Sequence[LogScore], codes: Iterable[str]) -> Iterator[CodeScore]:
    """The counts per code: of the given ones, then of further codes that raised a false alarm."""
    others = sorted({alert.code for score in scores for alert in score.false_alarms} - {*codes})
    for code in (*codes, *others):
        yield CodeScore(
            code,
            sum(code in score.found for score in scores),
            sum(code in missed.removeprefix("any of ") for s in scores for missed in s.missed),
            sum(alert.code == code for score in scores for alert in score.false_alarms),
            sum(code in score.permitted for score in scores),
        )


def _print_scores(scores: Sequence[LogScore], codes: tuple[str, ...]) -> None:
    print(f"{'code':22} {'precision':>9} {'recall':>7}  found missed false permitted")
    for one in score_codes(scores, codes):
        counts = f"{one.found:5} {one.missed:6} {one.false_alarms:5} {one.permitted:9}"
        print(f"{one.code:22} {_share(one.precision):>9} {_share(one.recall):>7}  {counts}")
    for title, lines in (
        ("misses", [f"{s.log}: {missed}" for s in scores for missed in s.missed]),
        ("false alarms", [_line(s.log, a) for s in scores for a in s.false_alarms]),
        ("unread", [f"{s.log}: {s.error}" for s in scores if s.error]),
        ("infos", [_line(s.log, a) for s in scores for a in _told(s.infos)]),
    ):
        print(f"\n{title}: {len(lines)}", *lines, sep="\n  ")


def _told(alerts: Iterable[MonitorAlert]) -> Iterator[MonitorAlert]:
    return (alert for alert in alerts if alert.code not in EXPECTED_UNSAID)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(log: str, alert: MonitorAlert) -> str:
    return f"{log}: {alert.severity.value} {alert.code}: {alert.message}"


def _print_unlabelled(data: Path) -> None:
    print("\nlogs without labels:")
    for path in sorted(found for pattern in QUIET_LOGS for found in data.glob(pattern)):
        log = str(path.relative_to(data))
        try:
            lines = [_line(log, alert) for alert in _told(report_alerts(path))]
        except GradienceError as error:
            lines = [f"{log}: not read: {error}"]
        print(*(lines or [f"{log}: nothing"]), sep="\n")


def main() -> None:
    """Prints the scores."""
    parser = argparse.ArgumentParser(description="scores the monitor's alerts on labelled logs")
    parser.add_argument("data", nargs="?", type=Path, default=DATA)
    data = parser.parse_args().data
    if not (data / LABELS).is_file():
        sys.exit(f"expected the labelled logs, found no {data / LABELS}")
    scores = score_logs(data)
    _print_scores(scores, conditions(data))
    _print_unlabelled(data)
    if any(score.missed or score.false_alarms or score.error for score in scores):
        sys.exit(1)


if __name__ == "__main__":
    main()
