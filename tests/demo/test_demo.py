"""The demo, made small: real training, then every report."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gradience import api
from gradience.demo.golden_path import train_demo
from gradience.demo.settings import DemoSettings, Stage
from gradience.demo.text import ALPHABET, plain_sentence, question_sentence, token_blocks

pytestmark = pytest.mark.trainer


def small(out: Path) -> DemoSettings:
    return DemoSettings(
        out=out,
        pretrain_steps=6,
        pretrain_batch=4,
        finetune_steps=10,
        finetune_batch=4,
        train_blocks=40,
        eval_blocks=4,
        block_length=32,
    )


def test_leaves_base_adapter_arguments_and_record(tmp_path: Path) -> None:
    stages: list[Stage] = []
    settings = small(tmp_path)
    run = train_demo(settings, stages.append)
    assert run.eval_loss > 0
    assert stages[-1].done == stages[-1].total == 10
    report = api.audit(settings.adapter_dir, base_model=str(settings.base_dir))
    assert report.n_layers == report.n_layers_with_udr == 28
    assert report.findings == ()
    checked = api.check(
        peft_dir=settings.adapter_dir, training_dir=settings.training_args_file.parent
    )
    assert checked.config.lora.r == 16
    assert checked.config.optimizer.lr == settings.finetune_lr
    monitored = api.monitor(settings.telemetry_file)
    assert monitored.run.outcome.value == "ok"
    assert monitored.signals.gap is not None


def test_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    digests = set()
    for name in ("first", "second"):
        settings = small(tmp_path / name)
        train_demo(settings, lambda _: None)
        weights = (settings.adapter_dir / "adapter_model.safetensors").read_bytes()
        digests.add(hashlib.sha256(weights).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("sentence", [plain_sentence, question_sentence])
def test_text_stays_within_the_alphabet(sentence: Callable[[random.Random], str]) -> None:
    blocks = token_blocks(sentence, 20, 50, seed=1)
    assert {len(block) for block in blocks} == {50}
    assert max(max(block) for block in blocks) < len(ALPHABET)
    assert blocks == token_blocks(sentence, 20, 50, seed=1)
    assert blocks != token_blocks(sentence, 20, 50, seed=2)
