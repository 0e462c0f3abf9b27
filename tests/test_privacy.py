"""Nothing private is written: a real run full of marked secrets, prompts, paths and names.

Every byte of every file that Gradience wrote is searched for the marks.
"""

import platform
import socket
from pathlib import Path

import pytest
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradience.core.telemetry.events import Eval, RunEnd, TrainStep
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.core.telemetry.marked_secrets import ALNUM, BASE64, HEX, JWT, PEM_BODY, SHAPED
from tests.shell.trainer.tiny_trainer import tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

PROMPT = "Marked prompt: summarise the letter of the patient. " * 8
HOST, USER = "marked-host", "marked_user"
HOME = f"/home/{USER}/projects/letters"
OPAQUE = "marked-opaque-credential"

SECRET_MARKS = (ALNUM[:16], HEX[:16], BASE64[:16], JWT[-20:], PEM_BODY[:16], "IOSFODNN7", OPAQUE)
PRIVATE_MARKS = ("Marked prompt", HOST, USER, "projects", "letters", "marked_error")

SECRET_LOGS = {
    **{f"extra_{kind}": f"seen {secret} there" for kind, secret in SHAPED.items()},
    SHAPED["github_token"]: 1.0,
    "api_key": OPAQUE,
    "nested": {"list": [{"hub_token": OPAQUE}, (SHAPED["jwt"], SHAPED["hf_token"].encode())]},
    "wandb": {"key": HEX},
    "aws": {"value": BASE64},
    "command": f"train.py --token {OPAQUE} --lr 1",
    "store": f"postgres://{USER}:{OPAQUE}@db/runs",
    "header": f"Authorization: Bearer {OPAQUE}",
}
PRIVATE_LOGS = {
    "prompt": PROMPT,
    PROMPT: 1.0,
    "batch": {"texts": [PROMPT, PROMPT]},
    "file": f"{HOME}/data.json",
    "failure": f"FileNotFoundError: '{HOME}/data.json'",
    "windows": rf"C:\Users\{USER}\letters",
    "hostname": HOST,
    "environment": {"user": USER, "cwd": HOME, "node_hostname": HOST},
}
LOGS: dict[str, object] = {**SECRET_LOGS, **PRIVATE_LOGS}


class Talkative(TrainerCallback):
    """Logs what no log should hold, and breaks the training off."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.trainer: Trainer | None = None
        self.fail_at = fail_at

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Logs, and fails at its step."""
        del args, control, kwargs
        assert self.trainer is not None
        self.trainer.log(dict(LOGS))  # type: ignore[arg-type]  # what should not be
        if state.global_step == self.fail_at:
            raise ValueError(f"marked_error {PROMPT} {HOME} {SHAPED['hf_token']} {HOST}")


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, allow_text: bool, fail_at: int | None = None
) -> None:
    """A run whose every name, note, log, metric and error is private."""
    for module, name in ((socket, "gethostname"), (platform, "node")):
        monkeypatch.setattr(module, name, lambda: HOST)
    for name in ("USER", "LOGNAME", "HOSTNAME"):
        monkeypatch.setenv(name, USER)
    config = GradienceCallbackConfig(
        output_dir=folder,
        model_name=f"{HOME}/my-base",
        dataset_name=f"https://{USER}:{OPAQUE}@data.example.org/{USER}/my-data",
        notes=f"notes {SHAPED['openai_key']} in {HOME}",
        run_id=SHAPED["hf_token"],
        telemetry_allow_text=allow_text,
    )
    model = tiny_model()
    model.config._name_or_path = f"{HOME}/base"
    model.peft_config["default"].base_model_name_or_path = f"{HOME}/{SHAPED['hf_token']}"
    talkative = Talkative(fail_at=fail_at)
    trainer = tiny_trainer(
        folder.parent / "checkpoints",
        GradienceCallback(config),
        model=model,
        max_steps=2,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=1,
        run_name=f"{USER}-{SHAPED['hf_token']}",
        hub_token=SHAPED["hf_token"],
        hub_model_id=f"{USER}/letters",
    )
    talkative.trainer = trainer
    trainer.add_callback(talkative)
    trainer.compute_metrics = lambda _: {
        "note": SHAPED["gitlab_token"], "answer": PROMPT, "password": OPAQUE, "file": HOME,
    }  # fmt: skip
    if fail_at is None:
        trainer.train()
    else:
        with pytest.raises(ValueError, match="marked_error"):
            trainer.train()


def written(folder: Path) -> str:
    """All that stands in the files below a folder, and their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return "\n".join(f"{path.name}\n{path.read_bytes().decode()}" for path in files)


@pytest.mark.parametrize("fail_at", [None, 1])
def test_no_mark_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int | None
) -> None:
    folder = tmp_path / "telemetry"
    trained(folder, monkeypatch, allow_text=False, fail_at=fail_at)
    text = written(folder)
    assert [mark for mark in (*SECRET_MARKS, *PRIVATE_MARKS) if mark in text] == []
    events = list(TelemetryReader(folder / "run.jsonl").iter_events())
    kinds = {type(event) for event in events}
    assert {TrainStep, RunEnd} <= kinds
    assert (Eval in kinds) == (fail_at is None)


@pytest.mark.parametrize("fail_at", [None, 1])
def test_with_text_allowed_prompts_are_written_and_secrets_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int | None
) -> None:
    folder = tmp_path / "telemetry"
    trained(folder, monkeypatch, allow_text=True, fail_at=fail_at)
    text = written(folder)
    assert [mark for mark in SECRET_MARKS if mark in text] == []
    assert PROMPT in text
    assert f"{HOME}/data.json" in text


def test_the_name_of_a_local_model_is_its_last_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "telemetry"
    trained(folder, monkeypatch, allow_text=False)
    config = TelemetryReader(folder / "run.jsonl").latest_config()
    assert config is not None
    assert (config.model_name, config.dataset_name) == ("my-base", "my-data")


def test_a_writer_left_by_an_exception_tells_its_type_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with (
        pytest.raises(ValueError, match="marked_error"),
        TelemetryWriter(path, allow_text=True) as writer,
    ):
        writer.run_start({})
        raise ValueError(f"marked_error {PROMPT} {SHAPED['hf_token']}")
    text = written(tmp_path)
    assert [mark for mark in (*SECRET_MARKS, *PRIVATE_MARKS) if mark in text] == []
    assert "ValueError" in text
