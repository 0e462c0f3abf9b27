"""A tiny transformer, pretrained for a few seconds so that its weights are not noise."""

from collections.abc import Callable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gradience.demo.settings import DemoSettings, Stage
from gradience.demo.text import ALPHABET, plain_sentence, token_blocks


def build_model(device: str = "cpu") -> LlamaForCausalLM:
    """A Llama of four layers and half a million parameters, randomly initialised."""
    config = LlamaConfig(
        vocab_size=len(ALPHABET),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    torch.nn.Module.to(model, device)
    return model


def pretrain(
    model: LlamaForCausalLM, settings: DemoSettings, on_stage: Callable[[Stage], None]
) -> float:
    """Trains all weights on the plain dialect, with a learning rate that falls linearly.

    Args:
        model: The model; trained in place, on the device where it is.
        settings: Steps, batch size, learning rate and seed.
        on_stage: Told after every step.

    Returns:
        The last step's loss, nats per token.
    """
    count = settings.pretrain_steps * settings.pretrain_batch
    blocks = token_blocks(plain_sentence, count, settings.block_length, settings.seed)
    tokens = torch.tensor(blocks, device=model.device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.pretrain_lr)
    schedule = torch.optim.lr_scheduler.LinearLR(
        optimizer, 1.0, 0.05, total_iters=settings.pretrain_steps
    )
    loss = torch.zeros(())
    for step, batch in enumerate(torch.split(tokens, settings.pretrain_batch), 1):
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        on_stage(Stage(name="pretraining the base", done=step, total=settings.pretrain_steps))
    return float(loss.detach())
