"""The demo's sizes: small enough for a minute on two cores, large enough to learn something."""

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class DemoSettings:
    """What the demo trains, and where it leaves it."""

    out: Path
    adapter_name: str = "adapter"
    """Name of the adapter's folder below ``out``."""
    seed: int = 7
    device: str = "cpu"
    """``cpu`` or ``cuda``."""
    allow_text: bool = False
    """Lets the telemetry keep strings of any length."""
    block_length: int = 64
    """Tokens (characters) per example."""
    pretrain_steps: int = 200
    pretrain_batch: int = 24
    pretrain_lr: float = 3e-3
    finetune_steps: int = 160
    finetune_batch: int = 16
    finetune_lr: float = 5e-4
    train_blocks: int = 400
    eval_blocks: int = 64
    rank: int = 16
    alpha: int = 32

    @property
    def base_dir(self) -> Path:
        """Where the pretrained base model is saved."""
        return self.out / "base"

    @property
    def adapter_dir(self) -> Path:
        """Where the adapter is saved."""
        return self.out / self.adapter_name

    @property
    def training_args_file(self) -> Path:
        """Where the training arguments are saved as JSON."""
        return self.out / "training" / "training_args.json"

    @property
    def telemetry_file(self) -> Path:
        """Where the run is recorded."""
        return self.out / "run.jsonl"


@attrs.frozen(kw_only=True)
class Stage:
    """Progress of the demo: ``done`` of ``total`` steps of a named stage."""

    name: str
    done: int
    total: int
