"""A toy LoRA run that leaves everything a tool could want to read.

    python examples/vnext/toy_lora_run.py --out DIR --device cpu

leaves DIR/run.jsonl, DIR/peft/ (a PEFT adapter), DIR/training/training_args.json and DIR/base/.
"""

import argparse
from pathlib import Path

from gradience.demo.golden_path import train_demo
from gradience.demo.settings import DemoSettings


def main() -> None:
    """Parses the arguments, trains, and says what to run next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for what the run leaves")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int, default=160, help="fine-tuning steps")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--telemetry-allow-text", action="store_true", help="keep long strings in the telemetry"
    )
    given = parser.parse_args()
    settings = DemoSettings(
        out=given.out,
        adapter_name="peft",
        device=given.device,
        finetune_steps=given.steps,
        seed=given.seed,
        allow_text=given.telemetry_allow_text,
    )
    run = train_demo(settings, lambda _: None)
    print(f"held-out loss {run.eval_loss:.4f}")
    print(f"next: gradience monitor {settings.telemetry_file}")
    print(f"      gradience audit --peft-dir {settings.adapter_dir} --layers")


if __name__ == "__main__":
    main()
