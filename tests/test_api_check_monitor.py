"""The Python entry points of check and monitor, and what an audit leaves in the record."""

import json
from pathlib import Path

import pytest

from gradience import api
from gradience.core.checking.rule import CheckPolicy
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
)
from gradience.core.errors import ConfigError, TelemetryError, TelemetrySchemaError
from gradience.core.monitoring.report import MonitorReport
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter
from tests.shared_data import DATA, SHARED, needs_shared_data

FIXTURE = DATA / "gradience" / "fixture_vnext_minimal.jsonl"
CHECK_CONFIG = DATA / "gradience" / "vnext_check_config.json"


def write_json(path: Path, content: dict[str, object]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def adapter(folder: Path, rank: int) -> Path:
    content: dict[str, object] = {"peft_type": "LORA", "r": rank, "lora_alpha": 16}
    return write_json(folder / "adapter_config.json", content)


def arguments(folder: Path, rate: float) -> Path:
    return write_json(folder / "training_args.json", {"learning_rate": rate, "adam_beta1": 0.9})


def codes(report: MonitorReport) -> list[str]:
    return [alert.code for alert in report.alerts]


def test_the_fixtures_gap_is_exactly_one_and_a_half() -> None:
    report = api.monitor(FIXTURE)
    assert report.signals.gap == 1.5
    assert report.telemetry_issues == ()


def test_a_gap_of_the_threshold_is_no_alert_and_above_it_is_one() -> None:
    assert codes(api.monitor(FIXTURE)) == []
    assert codes(api.monitor(FIXTURE, gap_threshold=1.4)) == ["memorization_gap"]
    actions = [item.action for item in api.monitor(FIXTURE, gap_threshold=1.4).recommendations]
    assert actions == ["memorization_detected"]


def test_monitor_passes_the_files_issues_on(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(FIXTURE.read_bytes() + b'{"torn')
    assert [issue.code for issue in api.monitor(path).telemetry_issues] == ["torn_line"]
    with pytest.raises(TelemetryError, match=r"run\.jsonl:6: the last line is cut off"):
        api.monitor(path, strict_schema=True)


@needs_shared_data
def test_a_real_run_without_an_end_is_unfinished() -> None:
    folder = SHARED / "gradience" / "telemetry_v1"
    assert codes(api.monitor(folder / "validation_001_NO_RUN_END__run.jsonl")) == ["run_unfinished"]


@needs_shared_data
def test_a_real_run_of_one_line_has_a_report() -> None:
    folder = SHARED / "gradience" / "telemetry_v1"
    found = codes(api.monitor(folder / "naming_test_RUN_START_ONLY__run.jsonl"))
    assert found == ["run_unfinished", "gap_unavailable"]


def test_monitor_refuses_a_config_by_name(tmp_path: Path) -> None:
    with pytest.raises(TelemetrySchemaError, match=r"try: gradience check"):
        api.monitor(adapter(tmp_path, 8))


def test_the_originals_check_config_is_checked() -> None:
    report = api.check(CHECK_CONFIG)
    assert [item.action for item in report.recommendations] == ["config_ok"]
    assert report.config.lora.alpha_over_r == 1.0
    assert report.sources == (str(CHECK_CONFIG),)


def test_check_says_what_is_missing_of_nothing() -> None:
    actions = [item.action for item in api.check().recommendations]
    assert actions == ["set_lr", "set_target_modules", "set_rank"]


def test_flags_beat_config_beats_peft_beats_training(tmp_path: Path) -> None:
    peft, training = adapter(tmp_path, 4), arguments(tmp_path, 1e-4)
    flags = ConfigSnapshot(lora=LoraSnapshot(r=64))
    ranks = [
        api.check(CHECK_CONFIG, peft=peft, training=training, flags=flags).config.lora.r,
        api.check(CHECK_CONFIG, peft=peft, training=training).config.lora.r,
        api.check(peft=peft, training=training).config.lora.r,
        api.check(training=training).config.lora.r,
    ]
    assert ranks == [64, 32, 4, None]
    assert api.check(peft=peft, training=training).config.optimizer.lr == 1e-4


def test_files_beat_folders(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "folder", 4).parent
    arguments(folder, 1e-4)
    by_folder = api.check(peft_dir=folder, training_dir=folder).config
    by_file = api.check(
        peft=adapter(tmp_path / "file", 8),
        peft_dir=folder,
        training=arguments(tmp_path / "file", 2e-4),
        training_dir=folder,
    ).config
    assert (by_folder.lora.r, by_folder.optimizer.lr) == (4, 1e-4)
    assert (by_file.lora.r, by_file.optimizer.lr) == (8, 2e-4)


def test_sources_are_listed_lowest_first(tmp_path: Path) -> None:
    peft, training = adapter(tmp_path, 4), arguments(tmp_path, 1e-4)
    report = api.check(CHECK_CONFIG, peft=peft, training=training)
    assert report.sources == (str(training), str(peft), str(CHECK_CONFIG))


def test_the_ratio_is_that_of_the_merged_values(tmp_path: Path) -> None:
    flags = ConfigSnapshot(lora=LoraSnapshot(alpha=64))
    assert api.check(peft=adapter(tmp_path, 16), flags=flags).config.lora.alpha_over_r == 4.0


def test_a_snapshot_and_a_policy_may_be_given() -> None:
    config = ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1e-4))
    report = api.check(config, policy=CheckPolicy(lr_high=1e-5))
    assert report.recommendations[0].action == "consider_lower_lr"
    assert report.sources == ()


def test_a_task_profile_given_counts_even_where_it_is_unknown() -> None:
    config = ConfigSnapshot(task_profile=TaskProfile.GENERATION)
    report = api.check(config, task_profile=TaskProfile.UNKNOWN)
    assert report.config.task_profile is TaskProfile.UNKNOWN
    assert api.check(config).config.task_profile is TaskProfile.GENERATION


def test_check_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a folder with adapter_config\.json"):
        api.check(peft_dir=tmp_path)


@needs_shared_data
def test_an_appended_audit_belongs_to_the_files_last_run(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    run.write_bytes(FIXTURE.read_bytes())
    audit = api.audit(SHARED / "adapters" / "gradience_tiny_lora")
    api.append_audit(audit, run)
    (event,) = TelemetryReader(run).iter_events("metrics")
    assert (event.run_id, event.step) == ("test_run_001", 10)
    assert api.monitor(run).signals.stable_rank_mean == audit.summary()["stable_rank_mean"]
    assert run.read_bytes().startswith(FIXTURE.read_bytes())


@needs_shared_data
def test_an_audit_may_begin_a_file(tmp_path: Path) -> None:
    run = tmp_path / "new" / "run.jsonl"
    api.append_audit(api.audit(SHARED / "adapters" / "gradience_tiny_lora"), run)
    assert api.monitor(run).lora_audit is not None


@needs_shared_data
def test_an_audit_is_not_appended_to_a_file_of_another_kind(tmp_path: Path) -> None:
    other = adapter(tmp_path, 8)
    before = other.read_bytes()
    audit = api.audit(SHARED / "adapters" / "gradience_tiny_lora")
    with pytest.raises(TelemetrySchemaError, match=r"adapter_config\.json"):
        api.append_audit(audit, other)
    assert other.read_bytes() == before


def test_reports_are_of_the_last_run(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    for name in ("a", "b"):
        with TelemetryWriter(run, run_id=name) as writer:
            writer.run_start(ConfigSnapshot(model_name=name))
    report = api.monitor(run)
    assert (report.n_runs, report.config.model_name, report.run.run_id) == (2, "b", "b")
