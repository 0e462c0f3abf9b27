"""The sections and keys of a torchtune configuration that are needed."""

import msgspec

from gradience.core.config.foreign import COMPONENT
from gradience.core.config.vocabulary import Names


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A section of which only the component counts."""

    component: str | None = msgspec.field(name=COMPONENT, default=None)


class Model(Component, frozen=True, kw_only=True):
    """The section ``model``."""

    lora_attn_modules: Names = None
    apply_lora_to_mlp: bool | None = None
    apply_lora_to_output: bool | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    use_dora: bool | None = None
    quantize_base: bool | None = None


class Optimizer(Component, frozen=True, kw_only=True):
    """The section ``optimizer``."""

    lr: float | None = None
    weight_decay: float | None = None
    betas: tuple[float, ...] | None = None
    eps: float | None = None


class Scheduler(Component, frozen=True, kw_only=True):
    """The section ``lr_scheduler``."""

    num_warmup_steps: int | None = None


class DataSet(Component, frozen=True, kw_only=True):
    """The section ``dataset``."""

    source: str | None = None
    packed: bool | None = None
    train_on_input: bool | None = None


class Checkpointer(Component, frozen=True, kw_only=True):
    """The section ``checkpointer``."""

    checkpoint_dir: str | None = None


class Tokenizer(Component, frozen=True, kw_only=True):
    """The section ``tokenizer``."""

    max_seq_len: int | None = None


class TorchtuneConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that are needed of a torchtune configuration."""

    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    lr_scheduler: Scheduler = Scheduler()
    loss: Component = Component()
    kd_loss: Component = Component()
    teacher_model: Component = Component()
    quantizer: Component = Component()
    dataset: DataSet = DataSet()
    checkpointer: Checkpointer = Checkpointer()
    tokenizer: Tokenizer = Tokenizer()
    num_generations: int | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    epochs: float | None = None
    max_steps_per_epoch: int | None = None
    clip_grad_norm: float | None = None
    seed: int | None = None
    dtype: str | None = None
    enable_activation_checkpointing: bool | None = None
    log_every_n_steps: int | None = None
    run_val_every_n_steps: int | None = None
