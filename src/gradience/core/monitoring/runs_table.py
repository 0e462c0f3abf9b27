"""Many runs in one table: a row for each, condensed from its report."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.report import MonitorReport
from gradience.core.severity import Severity
from gradience.core.signals.run_status import Outcome

_RANK_FILE = re.compile(r"(.*)\.rank\d+(\.[^./]*)", re.DOTALL)


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a folder; None for what its log does not say."""

    file: str
    """The log, relative to the folder."""
    kind: str
    """What wrote it, such as ``telemetry_v1`` or ``trainer_state``."""
    run_id: str | None
    model: str | None
    status: Outcome
    first_step: int | None
    last_step: int | None
    total_steps: int | None
    loss_first: float | None
    loss_last: float | None
    """Mean of the last logged training losses."""
    eval_split: str | None
    eval_last: float | None
    """Latest loss on the held-out split."""
    eval_best: float | None
    eval_best_step: int | None
    gap: float | None
    gap_estimated: bool
    gap_doubt: str | None
    """Why a large gap is no sign of memorisation by itself."""
    severity: Severity | None
    """Of the worst alert, advice or file issue; None where there is none."""
    worst_alert: str | None
    """Code of the most severe alert."""
    alerts: Mapping[str, Severity]
    """Every alert's code and severity, the most severe first."""
    n_runs: int
    """Runs in the log; the row is of the last one."""
    checkpoints: tuple[str, ...] = ()
    """Trainer states of the same run, earlier ones first, relative to the folder."""
    ranks: tuple[str, ...] = ()
    """Logs of the run's other processes, relative to the folder; their alerts are among these."""
    branch_of: str | None = None
    """The log of the run that this one shares its beginning with."""
    why: str | None = None
    """What decided which checkpoints belong to it."""


class UnreadLog(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has the name of a log and is in no row."""

    file: str
    severity: Severity
    """``warning`` for a log that is damaged, ``info`` for a file that is none."""
    reason: str


class RunsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every run below a folder."""

    folder: str
    runs: tuple[RunRow, ...]
    unread: tuple[UnreadLog, ...] = ()

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The worst of each run, and those of the files that were not read."""
        runs = tuple(row.severity for row in self.runs if row.severity is not None)
        return runs + tuple(log.severity for log in self.unread)


def with_ranks(rows: Iterable[RunRow]) -> tuple[RunRow, ...]:
    """The rows, those of a run's further processes taken into the one of its first.

    ``run.rank1.jsonl`` belongs to ``run.jsonl`` beside it where both carry one run id. What it
    warns of counts for the run; that it lacks steps and an end says nothing.
    """
    known = {row.file: row for row in rows}
    for file, row in list(known.items()):
        name = _RANK_FILE.fullmatch(file)
        main = known.get("".join(name.groups())) if name else None
        if main is not None and main.run_id == row.run_id:
            known[main.file] = _with_rank(main, row)
            del known[file]
    return tuple(known.values())


def _with_rank(main: RunRow, rank: RunRow) -> RunRow:
    told = [
        (code, level) for code, level in rank.alerts.items() if level.at_least(Severity.WARNING)
    ]
    alerts = dict(main.alerts)
    for code, level in told:
        alerts[code] = max(level, alerts.get(code, level), key=lambda known: known.order)
    ordered = dict(sorted(alerts.items(), key=lambda alert: -alert[1].order))
    levels = [level for level in (main.severity, *(level for _, level in told)) if level]
    return msgspec.structs.replace(
        main,
        alerts=ordered,
        worst_alert=next(iter(ordered), None),
        severity=max(levels, key=lambda known: known.order, default=None),
        ranks=(*main.ranks, rank.file),
    )


def _by_code(alerts: tuple[MonitorAlert, ...]) -> dict[str, Severity]:
    found: dict[str, Severity] = {}
    for alert in alerts:
        found.setdefault(alert.code, alert.severity)
    return found


def run_row(report: MonitorReport, kind: str, file: str) -> RunRow:
    """Condenses the report of a run.

    Args:
        report: Of one log.
        kind: What wrote the log.
        file: The log, as the table names it.

    Returns:
        The row.
    """
    main = report.evaluations.main
    extras = report.signals.extras.get("gap")
    gap = extras if isinstance(extras, Mapping) else {}
    doubt = gap.get("doubt")
    worst = max(report.severities, key=lambda level: level.order, default=None)
    return RunRow(
        file=file,
        kind=kind,
        run_id=report.run.run_id,
        model=report.config.model_name,
        status=report.run.outcome,
        first_step=report.run.first_step,
        last_step=report.run.last_step,
        total_steps=report.progress.total_steps,
        loss_first=report.loss.first,
        loss_last=report.loss.smoothed,
        eval_split=None if main is None else main.split,
        eval_last=None if main is None else main.last_loss,
        eval_best=None if main is None else main.best_loss,
        eval_best_step=None if main is None else main.best_step,
        gap=report.signals.gap,
        gap_estimated=bool(gap.get("estimated")),
        gap_doubt=doubt if isinstance(doubt, str) else None,
        severity=worst,
        worst_alert=report.alerts[0].code if report.alerts else None,
        alerts=_by_code(report.alerts),
        n_runs=report.n_runs,
    )
