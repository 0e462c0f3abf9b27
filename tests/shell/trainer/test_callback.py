"""The Trainer callback, in real runs."""

import copy
import json
import logging
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from gradience import api
from gradience.core.errors import ConfigError
from gradience.core.telemetry.events import Eval, Metrics, RunEnd, RunStart, TrainStep
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.trainer.tiny_trainer import names, rows, tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]


def events(path: Path, kind: type) -> list[object]:
    return [event for event in TelemetryReader(path).iter_events() if isinstance(event, kind)]


def run_start(path: Path) -> RunStart:
    (event,) = events(path, RunStart)
    assert isinstance(event, RunStart)
    return event


def test_one_line_records_the_run(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, GradienceCallback(), eval_strategy="steps", eval_steps=4).train()
    path = tmp_path / "run.jsonl"
    assert names(path) == [
        "run_start", "train_step", "eval", "train_step", "eval", "metrics", "run_end",
    ]  # fmt: skip
    steps = [e.step for e in events(path, TrainStep) if isinstance(e, TrainStep)]
    assert steps == [2, 4, 6, 8]
    assert TelemetryReader(path).validate() == ()


def test_train_step_has_the_hot_numbers_as_numbers(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, GradienceCallback()).train()
    step = events(tmp_path / "run.jsonl", TrainStep)[0]
    assert isinstance(step, TrainStep)
    assert all(isinstance(n, float) for n in (step.loss, step.lr, step.grad_norm, step.epoch))


def test_config_is_that_of_the_arguments_and_the_adapter(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback(), learning_rate=3e-4, weight_decay=0.05)
    trainer.train()
    config = run_start(tmp_path / "run.jsonl").config
    assert (config.lora.r, config.lora.alpha, config.lora.alpha_over_r) == (2, 8.0, 4.0)
    assert config.lora.target_modules == ("q_lin", "v_lin")
    assert (config.optimizer.name, config.optimizer.lr) == ("adamw_torch_fused", 3e-4)
    assert config.optimizer.weight_decay == 0.05
    assert (config.training.batch_size, config.training.max_steps) == (4, 8)


def test_meta_counts_parameters_and_names_versions(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.train()
    meta = run_start(tmp_path / "run.jsonl").meta
    trainable = sum(p.numel() for p in tiny_model().parameters() if p.requires_grad)
    assert meta["trainable_parameters"] == trainable
    assert isinstance(meta["versions"], dict)
    assert {"gradience", "torch", "transformers", "peft"} <= meta["versions"].keys()


def test_quantisation_settings_stand_in_meta(tmp_path: Path) -> None:
    model = tiny_model()
    quantised = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "_private": "x"}
    callback = GradienceCallback()
    state, control = TrainerState(is_world_process_zero=True), TrainerControl()
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    model.config.quantization_config = SimpleNamespace(to_dict=lambda: quantised)
    callback.on_train_begin(args, state, control, model=model)
    callback.on_train_end(args, state, control)
    meta = run_start(tmp_path / "run.jsonl").meta
    assert meta["quantization"] == {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bits": 4,
    }


def test_monitor_tells_the_gap_with_nothing_else_to_do(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, GradienceCallback(), eval_strategy="steps", eval_steps=4).train()
    report = api.monitor(tmp_path / "run.jsonl")
    assert report.signals.gap is not None
    assert report.signals.extras["train_estimated"] is True
    assert report.signals.test.ppl is not None
    assert report.run.outcome.value == "ok"


def test_several_eval_sets_are_recorded_each_under_its_own_name(tmp_path: Path) -> None:
    sets = {"train": rows(16), "test": rows(16, 1), "other_domain": rows(16, 2)}
    trainer = tiny_trainer(
        tmp_path, GradienceCallback(), eval_sets=sets, eval_strategy="steps", eval_steps=8
    )
    trainer.train()
    found = [e for e in events(tmp_path / "run.jsonl", Eval) if isinstance(e, Eval)]
    assert [event.split for event in found] == ["train", "test", "other_domain"]
    assert all(isinstance(event.metrics["loss"], float) for event in found)
    signals = api.monitor(tmp_path / "run.jsonl").signals
    assert signals.extras["train_estimated"] is False


def test_evaluate_and_predict_after_training_belong_to_the_run(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.train()
    trainer.evaluate()
    trainer.predict(rows(8, 3))  # type: ignore[arg-type]  # a list of rows is a data set
    path = tmp_path / "run.jsonl"
    found = [e for e in events(path, Eval) if isinstance(e, Eval)]
    assert [event.split for event in found] == ["eval", "test"]
    assert len({event.run_id for event in TelemetryReader(path).iter_events()}) == 1


def test_closing_summary_is_kept(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, GradienceCallback()).train()
    (summary,) = events(tmp_path / "run.jsonl", Metrics)
    assert isinstance(summary, Metrics)
    assert summary.kind == "train_summary"
    assert "train_loss" in summary.metrics


def test_settings_name_the_file_the_task_and_the_run(tmp_path: Path) -> None:
    config = GradienceCallbackConfig(
        output_dir=tmp_path / "elsewhere",
        filename="record.jsonl",
        run_id="run-1",
        dataset_name="data",
        task_profile="easy_classification",
        notes="first try",
    )
    tiny_trainer(tmp_path, GradienceCallback(config)).train()
    start = run_start(tmp_path / "elsewhere" / "record.jsonl")
    assert start.run_id == "run-1"
    assert start.config.dataset_name == "data"
    assert start.config.task_profile.value == "easy_classification"
    assert start.config.notes == "first try"


def test_nothing_private_is_written(tmp_path: Path) -> None:
    secret = tmp_path / "home_of_somebody"
    model = tiny_model()
    model.config._name_or_path = str(secret / "models" / "my-base")
    config = GradienceCallbackConfig(notes="n" * 300, dataset_name=str(secret / "prompts"))
    trainer = tiny_trainer(
        secret,
        GradienceCallback(config),
        model=model,
        run_name="secret-run",
        hub_token="hf_token",  # noqa: S106  a marked secret
    )
    trainer.train()
    text = (secret / "run.jsonl").read_text()
    for private in ("home_of_somebody", "secret-run", "hf_token", str(tmp_path), "nnnn"):
        assert private not in text
    assert run_start(secret / "run.jsonl").config.notes == "[REDACTED len=300]"


def test_text_is_kept_only_by_opt_in(tmp_path: Path) -> None:
    config = GradienceCallbackConfig(notes="n" * 300, telemetry_allow_text=True)
    tiny_trainer(tmp_path, GradienceCallback(config)).train()
    assert run_start(tmp_path / "run.jsonl").config.notes == "n" * 300


def test_a_telemetry_file_that_cannot_be_written_does_not_stop_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    callback = GradienceCallback(GradienceCallbackConfig(output_dir=blocked))
    with caplog.at_level(logging.WARNING, logger="gradience"):
        result = tiny_trainer(tmp_path, callback).train()
    assert result.global_step == 8
    assert callback.dropped_events > 1
    assert [record.name for record in caplog.records].count("gradience") == 1
    assert "training goes on" in caplog.text


def test_only_world_rank_zero_writes(tmp_path: Path) -> None:
    callback = GradienceCallback()
    state = TrainerState(is_world_process_zero=False)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    callback.on_train_begin(args, state, TrainerControl(), model=tiny_model())
    callback.on_log(args, state, TrainerControl(), logs={"loss": 1.0})
    callback.on_train_end(args, state, TrainerControl())
    assert not (tmp_path / "run.jsonl").exists()


def test_a_log_whose_keys_clash_with_the_record_is_kept(tmp_path: Path) -> None:
    callback = GradienceCallback()
    state = TrainerState(is_world_process_zero=True, global_step=3)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    callback.on_log(args, state, TrainerControl(), logs={"loss": 1.0, "step": 9, "event": "x"})
    record = json.loads((tmp_path / "run.jsonl").read_text())
    assert callback.dropped_events == 0
    assert (record["step"], record["extra_step"], record["extra_event"]) == (3, 9, "x")


def test_a_second_training_is_a_run_of_its_own_and_the_first_is_kept(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, GradienceCallback())
    trainer.train()
    (first,) = {event.run_id for event in TelemetryReader(tmp_path / "run.jsonl").iter_events()}
    trainer.train()
    (second,) = {event.run_id for event in TelemetryReader(tmp_path / "run.jsonl").iter_events()}
    (kept,) = tmp_path.glob("run.*.jsonl")
    assert {event.run_id for event in TelemetryReader(kept).iter_events()} == {first} != {second}
    for path in (kept, tmp_path / "run.jsonl"):
        report = api.monitor(path)
        assert (report.n_runs, report.loss.n, report.run.outcome.value) == (1, 4, "ok")


def test_recording_does_not_change_the_weights(tmp_path: Path) -> None:
    from transformers import TrainerCallback

    with_record, without = tiny_model(), tiny_model()
    tiny_trainer(tmp_path, GradienceCallback(), model=with_record).train()
    tiny_trainer(tmp_path, TrainerCallback(), model=without).train()
    pairs = zip(with_record.parameters(), without.parameters(), strict=True)
    assert all(bool((a == b).all()) for a, b in pairs)


def hook_arguments(
    folder: Path, step: int = 0
) -> tuple[TrainingArguments, TrainerState, TrainerControl]:
    args = TrainingArguments(output_dir=str(folder), use_cpu=True, report_to=[])
    state = TrainerState(is_world_process_zero=True, global_step=step)
    return args, state, TrainerControl()


def test_training_again_after_an_exception_is_another_run(tmp_path: Path) -> None:
    callback, hook = GradienceCallback(), hook_arguments(tmp_path)
    callback.on_train_begin(*hook)
    callback.on_log(*hook, logs={"loss": 1.0})
    callback.on_train_begin(*hook_arguments(tmp_path))
    callback.on_log(*hook, logs={"loss": 2.0})
    callback.on_train_end(*hook)
    (kept,) = tmp_path.glob("run.*.jsonl")
    first = list(TelemetryReader(kept).iter_events())
    second = list(TelemetryReader(tmp_path / "run.jsonl").iter_events())
    ids = [{event.run_id for event in part} for part in (first, second)]
    assert (len(first), len(second), len(ids[0] | ids[1])) == (3, 3, 2)
    ended = first[2]
    assert isinstance(ended, RunEnd)
    assert (ended.status.value, ended.reason) == ("error", "training began again")
    assert callback.dropped_events == 0


def test_training_again_under_a_given_id_continues_that_run(tmp_path: Path) -> None:
    callback = GradienceCallback(GradienceCallbackConfig(run_id="mine"))
    hook = hook_arguments(tmp_path)
    for step in (1, 2):
        callback.on_train_begin(*hook)
        callback.on_log(*hook_arguments(tmp_path, step), logs={"loss": 1.0})
    callback.on_train_end(*hook)
    report = api.monitor(tmp_path / "run.jsonl")
    assert (report.n_runs, report.run.run_id) == (1, "mine")
    assert (report.run.resumed_from_steps, report.loss.n) == ((0,), 1)
    assert not list(tmp_path.glob("run.*.jsonl"))


def test_a_log_before_training_is_of_the_run_that_follows(tmp_path: Path) -> None:
    callback, hook = GradienceCallback(), hook_arguments(tmp_path)
    callback.on_log(*hook, logs={"warm": 1.0})
    callback.on_train_begin(*hook)
    callback.on_train_end(*hook)
    found = list(TelemetryReader(tmp_path / "run.jsonl").iter_events())
    assert [type(event) for event in found] == [TrainStep, RunStart, RunEnd]
    assert len({event.run_id for event in found}) == 1


def test_keys_that_are_no_strings_are_kept_as_text(tmp_path: Path) -> None:
    callback, hook = GradienceCallback(), hook_arguments(tmp_path)
    callback.on_log(*hook, logs={1: 2.0})  # type: ignore[dict-item]  # what a Trainer may be given
    record = json.loads((tmp_path / "run.jsonl").read_text())
    assert (record["1"], callback.dropped_events) == (2.0, 0)


def test_no_hook_raises_whatever_it_is_given(tmp_path: Path) -> None:
    callback, hook = GradienceCallback(), hook_arguments(tmp_path)
    odd: list[object] = [None, 7, ["loss"], {None: None}, {"loss": object()}]
    for value in odd:
        callback.on_log(*hook, logs=value)  # type: ignore[arg-type]  # the values under test
        callback.on_evaluate(*hook, metrics=value)  # type: ignore[arg-type]  # the same
        callback.on_predict(*hook, metrics=value)  # type: ignore[arg-type]  # the same
    assert callback.dropped_events > 0


def test_a_typo_in_the_task_profile_fails_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r"one of easy_classification, hard_reasoning, generation, unknown"
    ):
        GradienceCallbackConfig(task_profile="genration")


def test_the_warning_quotes_gradiences_own_errors_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    own = GradienceCallback(GradienceCallbackConfig(output_dir=blocked))
    own.on_log(*hook_arguments(tmp_path), logs={"loss": 1.0})
    assert "TelemetryError: " in caplog.text
    assert "cannot open the telemetry file" in caplog.text
    caplog.clear()

    class Secret:
        def __str__(self) -> str:
            raise RuntimeError("a secret")

    logs = {Secret(): 1.0}
    GradienceCallback().on_log(*hook_arguments(tmp_path), logs=logs)  # type: ignore[arg-type]  # the key under test
    assert "(RuntimeError)" in caplog.text
    assert "a secret" not in caplog.text


def test_a_copy_has_the_settings_and_no_run(tmp_path: Path) -> None:
    callback = GradienceCallback(GradienceCallbackConfig(notes="mine"))
    callback.on_train_begin(*hook_arguments(tmp_path))
    for copied in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):  # noqa: S301
        assert copied.config == callback.config
        copied.on_train_end(*hook_arguments(tmp_path))
        assert copied.path is None
    callback.on_train_end(*hook_arguments(tmp_path))
    assert names(tmp_path / "run.jsonl") == ["run_start", "run_end"]
