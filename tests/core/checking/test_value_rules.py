"""Rules on the configuration as a whole."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

BEST = "load_best_model_at_end: true"

CASES = [
    Case("GR900", "extras: {peft_type: LOHA}", "info", "type LOHA: LoRA rules were not applied"),
    Case("GR901", "lora: {alpha: -1}", "error", "lora.alpha is -1, not finite and above 0"),
    Case("GR901", "training: {epochs: .inf}", "error", "training.epochs is inf"),
    Case(
        "GR908",
        "lora: {target_modules: '.*q_proj', extras: {layers_to_transform: [1]}}",
        "error",
        "PEFT refuses layers_to_transform with target_modules as one string",
    ),
    Case(
        "GR908",
        "lora: {extras: {layers_pattern: layers}}",
        "error",
        "layers_pattern without layers_to_transform",
    ),
    Case("GR908", "lora: {extras: {init_lora_weights: loftq}}", "error", "without loftq_config"),
    Case(
        "GR908",
        "lora: {extras: {init_lora_weights: pissa, lora_bias: true}}",
        "error",
        "lora_bias with init_lora_weights=pissa",
    ),
    Case("GR909", "training: {max_steps: 10, epochs: 2}", "info", "max_steps decides"),
    Case(
        "GR910",
        f"training: {{extras: {{{BEST}, eval_strategy: 'no'}}}}",
        "error",
        "needs an evaluation to choose by",
    ),
    Case(
        "GR910",
        f"training: {{extras: {{{BEST}, eval_strategy: epoch}}}}",
        "error",
        "eval_strategy is epoch, saving steps",
    ),
    Case(
        "GR910",
        f"training: {{extras: {{{BEST}, eval_strategy: steps, eval_steps: 50, save_steps: 75}}}}",
        "error",
        "save_steps to be a multiple of eval_steps",
    ),
    Case(
        "GR911",
        "training: {max_steps: 10, extras: {eval_strategy: steps, eval_steps: 500}}",
        "info",
        "every 500 steps of 10",
    ),
    Case("GR912", "extras: {unread: [galore, badam]}", "info", "not checked: galore, badam"),
    Case(
        "GR914",
        "{lora: {r: 8, target_modules: [q]}, extras: {finetuning: full}}",
        "info",
        "fine-tuning is full, so LoRA's r and target_modules will not be used",
    ),
]

SILENT = [
    ("GR900", "extras: {peft_type: 3}"),
    ("GR901", "{}"),
    ("GR908", "lora: {target_modules: all-linear, extras: {layers_to_transform: [1]}}"),
    ("GR908", "lora: {extras: {init_lora_weights: loftq, loftq_config: {loftq_bits: 4}}}"),
    ("GR908", "{lora: {extras: {init_lora_weights: loftq}}, extras: {tool: unsloth}}"),
    ("GR909", "{training: {max_steps: 10, epochs: 2}, extras: {tool: torchtune}}"),
    (
        "GR909",
        "{training: {max_steps: 10, epochs: 1}, extras: {defaults: {training.epochs: Axolotl}}}",
    ),
    ("GR910", f"training: {{extras: {{{BEST}}}}}"),
    ("GR910", f"training: {{extras: {{{BEST}, eval_strategy: epoch, save_strategy: best}}}}"),
    ("GR910", f"training: {{extras: {{{BEST}, eval_strategy: epoch, save_strategy: epoch}}}}"),
    (
        "GR910",
        f"training: {{extras: {{{BEST}, eval_strategy: steps, eval_steps: 0.1, save_steps: 75}}}}",
    ),
    ("GR911", "training: {max_steps: 10, extras: {eval_strategy: epoch, eval_steps: 500}}"),
    ("GR912", "extras: {unread: {a: 1}}"),
    ("GR914", "{lora: {r: 8}, extras: {finetuning: full, defaults: {lora.r: LLaMA-Factory}}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
