"""Fine-tunes the tiny base with a LoRA adapter through the real Trainer, recorded by one line."""

import json
from collections.abc import Callable

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from gradience.demo.settings import DemoSettings, Stage
from gradience.demo.text import question_sentence, token_blocks
from gradience.shell.files import write_atomically
from gradience.shell.trainer.callback import GradienceCallback
from gradience.shell.trainer.settings import GradienceCallbackConfig

TARGET_MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""All linear layers of a Llama block."""


class StageCallback(TrainerCallback):
    """Passes the Trainer's steps on as a stage."""

    def __init__(self, on_stage: Callable[[Stage], None]) -> None:
        self._on_stage = on_stage

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Tells how far the training is."""
        del args, control, kwargs
        self._on_stage(
            Stage(name="fine-tuning the adapter", done=state.global_step, total=state.max_steps)
        )


def add_adapter(model: LlamaForCausalLM, settings: DemoSettings) -> PeftModel:
    """The model with a fresh LoRA adapter on every linear layer."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=TARGET_MODULES,
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    if not isinstance(adapted, PeftModel):
        raise TypeError(f"expected a PeftModel, found {type(adapted).__name__}")
    return adapted


def training_arguments(settings: DemoSettings) -> TrainingArguments:
    """The Trainer's arguments: evaluated ten times, silent, offline."""
    every = max(1, settings.finetune_steps // 10)
    return TrainingArguments(
        output_dir=str(settings.out),
        max_steps=settings.finetune_steps,
        per_device_train_batch_size=settings.finetune_batch,
        per_device_eval_batch_size=settings.finetune_batch,
        learning_rate=settings.finetune_lr,
        warmup_steps=every,
        lr_scheduler_type="cosine",
        logging_steps=max(1, every // 2),
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        dataloader_pin_memory=False,
    )


def finetune(
    model: PeftModel, settings: DemoSettings, on_stage: Callable[[Stage], None]
) -> dict[str, float]:
    """Trains the adapter on the second dialect, evaluates it and saves it.

    Args:
        model: The adapted model; trained in place.
        settings: Steps, batch size, learning rate, seed and folders.
        on_stage: Told after every step.

    Returns:
        The metrics of the last evaluation.
    """
    args = training_arguments(settings)
    recorder = GradienceCallback(
        GradienceCallbackConfig(
            model_name="gradience-demo-base",
            dataset_name="gradience-demo-questions",
            task_profile="generation",
            telemetry_allow_text=settings.allow_text,
        )
    )
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=_examples(settings.train_blocks, settings, seed=settings.seed + 1),
        eval_dataset=_examples(settings.eval_blocks, settings, seed=settings.seed + 2),
        callbacks=[recorder, StageCallback(on_stage)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    metrics = trainer.evaluate()
    model.save_pretrained(str(settings.adapter_dir))
    arguments: dict[str, object] = args.to_dict()  # type: ignore[no-untyped-call]  # transformers
    write_atomically(settings.training_args_file, json.dumps(arguments, indent=2).encode())
    return metrics


def _examples(count: int, settings: DemoSettings, *, seed: int) -> list[dict[str, torch.Tensor]]:
    blocks = token_blocks(question_sentence, count, settings.block_length, seed)
    tensors = [torch.tensor(block) for block in blocks]
    return [{"input_ids": tokens, "labels": tokens} for tokens in tensors]
