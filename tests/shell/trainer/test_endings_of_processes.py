"""How a process that is training ends, and what its record says then."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gradience import api

pytestmark = pytest.mark.trainer

ROOT = Path(__file__).resolve().parents[3]

TERM = "os.kill(os.getpid(), signal.SIGTERM)"
FORK = "child = os.fork(); (child or os.kill(os.getpid(), signal.SIGTERM)); os.waitpid(child, 0)"


class Way(NamedTuple):
    """A way out of a training, and what is expected of it."""

    at_step_three: str
    code: int
    outcome: tuple[str, str | None, int]
    before: str = ""
    train: str = "trainer.train()"
    late: bool = False
    """Whether the callback is added after the Trainer was made."""


WAYS = {
    "killed by SIGTERM": Way(TERM, -signal.SIGTERM, ("aborted", "SIGTERM", 3)),
    "a handler that exits": Way(
        TERM,
        7,
        ("aborted", "SIGTERM", 3),
        before="signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))",
    ),
    "a handler that goes on": Way(
        TERM,
        0,
        ("ok", None, 8),
        before="signal.signal(signal.SIGTERM, lambda *_: None)",
    ),
    "a forked child is terminated": Way(FORK, 0, ("ok", None, 8)),
    "vanished": Way("os._exit(9)", 9, ("unfinished", None, 2)),
    "late, exception": Way("raise ValueError('secret')", 1, ("error", "ValueError", 3), late=True),
    "late, interrupt": Way(
        "raise KeyboardInterrupt", -signal.SIGINT, ("aborted", "KeyboardInterrupt", 3), late=True
    ),
    "late, exit": Way("sys.exit(4)", 4, ("error", "training was left", 3), late=True),
    "late, caught": Way(
        "raise ValueError",
        0,
        ("error", "training was left", 3),
        train="try: trainer.train()\nexcept ValueError: pass",
        late=True,
    ),
}

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from transformers import TrainerCallback
from gradience.vnext.integrations.hf import GradienceCallback
from tests.shell.trainer.tiny_trainer import tiny_trainer

ways, children, chosen = json.loads(sys.argv[2]), {}, None
for name in ways:
    children[name] = os.fork()
    if not children[name]:
        chosen = name
        break

class AtStepThree(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            exec(action)

if chosen is None:
    codes = {
        name: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for name, child in children.items()
    }
    Path(sys.argv[1], "codes.json").write_text(json.dumps(codes))
else:
    action, code, outcome, before, train, late = ways[chosen]
    exec(before)
    callback, folder = GradienceCallback(), Path(sys.argv[1], chosen)
    trainer = tiny_trainer(folder, TrainerCallback() if late else callback)
    if late:
        trainer.add_callback(callback)
    trainer.add_callback(AtStepThree())
    exec(train)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every way is gone once, each by a child of one process that has imported all it takes."""
    folder = tmp_path_factory.mktemp("ways")
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), json.dumps(WAYS)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=True,
    )
    return folder


@pytest.mark.parametrize("name", WAYS)
def test_a_process_ends_as_it_would_have_and_says_how(folder: Path, name: str) -> None:
    codes = json.loads((folder / "codes.json").read_text())
    run = api.monitor(folder / name / "run.jsonl").run
    assert (codes[name], (run.outcome.value, run.reason, run.last_step)) == WAYS[name][1:3]


def test_a_run_is_ended_once_and_without_text(folder: Path) -> None:
    handled = (folder / "a handler that exits" / "run.jsonl").read_text()
    assert handled.count('"run_end"') == 1
    forked = (folder / "a forked child is terminated" / "run.jsonl").read_text()
    assert "SIGTERM" not in forked
    assert "secret" not in (folder / "late, exception" / "run.jsonl").read_text()
