"""Rules on the learning rate and weight decay, at both sides of their edges."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

LORA = "lora: {r: 8}"
PRETRAINING = (
    "{optimizer: {lr: 3.0e-4}, training: {extras: {objective: pretrain}}, "
    "extras: {finetuning: full}}"
)

CASES = [
    Case("GR101", "optimizer: {lr: .nan}", "error", "learning rate nan trains nothing"),
    Case("GR101", "{optimizer: {lr: 0.5}, extras: {finetuning: full}}", "error", "far beyond"),
    Case("GR102", "optimizer: {lr: 3.0e-3}", "warning", "end (150 times the usual 2e-05"),
    Case("GR103", f"{{optimizer: {{lr: 1.0e-5}}, {LORA}}}", "info", "(preference and reinf"),
    Case("GR100", f"{{{LORA}, extras: {{tool: trl}}}}", "warning", "TRL's defaults, 2e-5 for SFT"),
    Case("GR100", "extras: {tool: trl, finetuning: full}", "info", "no learning rate is given, so"),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 3.0e-6}}, {LORA}, training: {{extras: {{objective: sft}}}}}}",
        "warning",
        "learning rate 3e-06 is one for full fine-tuning",
    ),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 2.0e-5}}, {LORA}, training: {{extras: {{objective: sft}}}}}}",
        "info",
        "is the default of TRL's SFTConfig, for full fine-tuning: set it deliberately",
    ),
    Case(
        "GR103",
        f"{{task_profile: easy_classification, optimizer: {{lr: 3.0e-6}}, {LORA}, "
        "training: {extras: {objective: sft}}}",
        "info",
        "is one for full fine-tuning",
    ),
    Case("GR103", "{optimizer: {lr: 1.0e-6}, lora: {r: 8, alpha: 80}}", "info", "is one for full"),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 2.0e-5}}, {LORA}, extras: {{defaults: {{optimizer.lr: TRL}}}}}}",
        "warning",
        "is the default of TRL, chosen for full fine-tuning, as none is given",
    ),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 5.0e-5}}, {LORA}, extras: {{defaults: {{optimizer.lr: HF}}}}}}",
        "info",
        "is the default of HF",
    ),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 1.0e-6}}, {LORA}, training: {{extras: {{objective: grpo}}}}}}",
        "info",
        "TRL's PEFT guide gives GRPO 1e-05 with LoRA",
    ),
    Case(
        "GR103",
        f"{{optimizer: {{lr: 5.0e-7}}, {LORA}, training: {{extras: {{objective: dpo}}}}, "
        "extras: {defaults: {optimizer.lr: TRL}}}",
        "info",
        "5e-07, the default of TRL, is one for full fine-tuning by dpo",
    ),
    Case("GR104", "{optimizer: {lr: 1.0e-3}, extras: {finetuning: full}}", "info", "for LoRA?"),
    Case(
        "GR105",
        "{optimizer: {lr: 2.0e-4}, training: {extras: {objective: kto}}}",
        "info",
        "for kto is 40 times the 5e-06 that TRL's PEFT guide gives DPO",
    ),
    Case(
        "GR105",
        "{optimizer: {lr: 1.0e-5}, training: {extras: {objective: dpo}}, "
        "extras: {finetuning: full}}",
        "info",
        "20 times the 5e-07",
    ),
    Case(
        "GR106", "optimizer: {lr: 1.0e-3, extras: {loraplus_lr_ratio: 16}}", "info", "rate, 0.016"
    ),
    Case(
        "GR107",
        "{optimizer: {lr: 5.0e-4}, lora: {extras: {init_lora_weights: PiSSA_niter_4}}}",
        "info",
        "with PiSSA",
    ),
    Case("GR110", "optimizer: {weight_decay: -1}", "error", "weight decay -1 is negative"),
    Case("GR110", "optimizer: {weight_decay: 0.3}", "warning", "hold the adapter near zero"),
]

SILENT = [
    ("GR102", "optimizer: {lr: 1.0e-2}"),
    ("GR102", "{optimizer: {lr: 1.0e-3}, extras: {peft_type: IA3}}"),
    ("GR103", "optimizer: {lr: 2.0e-5}"),
    ("GR103", "{optimizer: {lr: 1.0e-5}, lora: {r: 8, alpha: 80}}"),
    ("GR103", f"{{optimizer: {{lr: 5.0e-6}}, {LORA}, training: {{extras: {{objective: dpo}}}}}}"),
    ("GR103", f"{{optimizer: {{lr: 1.0e-5}}, {LORA}, training: {{extras: {{objective: grpo}}}}}}"),
    ("GR103", f"{{optimizer: {{lr: 2.0e-5}}, {LORA}, extras: {{finetuning: full}}}}"),
    ("GR103", f"{{optimizer: {{lr: 5.0e-5}}, {LORA}, extras: {{tool: axolotl}}}}"),
    ("GR104", "optimizer: {lr: 1.0e-3}"),
    ("GR104", PRETRAINING),
    ("GR105", "optimizer: {lr: 2.0e-4}"),
    ("GR105", "{optimizer: {lr: 2.0e-4}, training: {extras: {objective: sft}}}"),
    ("GR105", "{optimizer: {lr: 5.0e-5}, training: {extras: {objective: grpo}}}"),
    ("GR106", "optimizer: {lr: 1.0e-4}"),
    ("GR107", "optimizer: {lr: 5.0e-4}"),
    ("GR110", "{optimizer: {weight_decay: 0.3}, extras: {finetuning: full}}"),
    ("GR110", "optimizer: {weight_decay: .nan}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
