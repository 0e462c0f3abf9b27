"""Strategies of configurations and models: what fits the rules, and what fits nothing."""

from hypothesis import strategies as st

from gradience.core.architecture.fit import ModelFit, ModuleFit
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from property_tests.events import JSON_VALUES

NAMES = st.sampled_from(
    ["q_proj", "k_proj", "up_proj", "layers.0.q_proj", "^q_proj", ".*q", "lm_head", "(", "", "é"]
)
COUNTS = st.none() | st.integers() | st.sampled_from([0, 1, 8, 64, 10**400, -(10**400)])
NUMBERS = (
    st.none() | st.floats() | st.sampled_from([0.0, 1e-6, 2e-5, 5e-5, 3e-4, 1e-3, 0.5, 5e-324])
)
PATTERNS = st.dictionaries(NAMES, st.integers(1, 64) | st.floats() | JSON_VALUES, max_size=3)
LISTS = st.lists(NAMES, max_size=3)
SWITCHES = st.booleans()
RHYTHMS = st.sampled_from(["no", "steps", "epoch", "best", "NO"])
LENGTHS = st.sampled_from([0, 0.1, 1, 8, 100, "1e3", 10**400])
INITS = st.sampled_from([True, False, "pissa_niter_4", "olora", "loftq", "corda", "gaussian"])
DTYPES = st.sampled_from(["float16", "fp16", "bfloat16", "float32"])
OBJECTIVES = st.sampled_from(["sft", "dpo", "kto", "grpo", "pretrain", "classification", "reward"])
QUANTISED = st.fixed_dictionaries(
    {"bits": st.sampled_from([2, 4, 8, "4", None])},
    optional={"scheme": st.sampled_from(["nf4", "fp4", 4]), "compute_dtype": DTYPES},
)
DEFAULTS = st.dictionaries(
    st.sampled_from(["optimizer.lr", "lora.r", "extras.finetuning"]), st.just("TRL"), max_size=3
)


def extras(**fitting: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Settings that fit, or hold any JSON value at all."""
    return st.fixed_dictionaries(
        {}, optional={name: values | JSON_VALUES for name, values in fitting.items()}
    )


LORA_EXTRAS = extras(
    use_rslora=SWITCHES,
    use_dora=SWITCHES,
    lora_bias=SWITCHES,
    rank_pattern=PATTERNS,
    alpha_pattern=PATTERNS,
    modules_to_save=LISTS,
    target_parameters=LISTS,
    init_lora_weights=INITS,
    task_type=st.sampled_from(["SEQ_CLS", "CAUSAL_LM"]),
    layers_to_transform=st.lists(st.integers(0, 9), max_size=2),
    layers_pattern=NAMES,
    loftq_config=PATTERNS,
)
TRAINING_EXTRAS = extras(
    max_grad_norm=LENGTHS,
    warmup_ratio=LENGTHS,
    warmup_steps=LENGTHS,
    logging_nan_inf_filter=SWITCHES,
    load_best_model_at_end=SWITCHES,
    eval_strategy=RHYTHMS,
    save_strategy=RHYTHMS,
    eval_steps=LENGTHS,
    save_steps=LENGTHS,
    max_length=LENGTHS,
    val_set_size=LENGTHS,
    world_size=LENGTHS,
    parameter_dtype=DTYPES,
    objective=OBJECTIVES,
)
TOP_EXTRAS = extras(
    tool=st.sampled_from(["torchtune", "axolotl", "trl"]),
    finetuning=st.sampled_from(["full", "freeze", "lora", "qlora"]),
    quantization=QUANTISED,
    peft_type=st.sampled_from(["LORA", "IA3"]),
    unread=LISTS,
    defaults=DEFAULTS,
)

CONFIGS = st.builds(
    ConfigSnapshot,
    model_name=st.none() | NAMES,
    dataset_name=st.none() | st.sampled_from(["glue", "gsm8k", ""]),
    task_profile=st.sampled_from(TaskProfile),
    optimizer=st.builds(
        OptimizerSnapshot,
        lr=NUMBERS,
        weight_decay=NUMBERS,
        extras=extras(loraplus_lr_ratio=LENGTHS),
    ),
    lora=st.builds(
        LoraSnapshot,
        r=COUNTS,
        alpha=NUMBERS | st.sampled_from([16.0, 128.0]),
        alpha_over_r=NUMBERS,
        target_modules=st.none() | NAMES | LISTS.map(tuple),
        dropout=NUMBERS,
        bias=st.none() | st.sampled_from(["none", "all"]),
        extras=LORA_EXTRAS,
    ),
    training=st.builds(
        TrainingSnapshot,
        batch_size=COUNTS,
        gradient_accumulation=COUNTS,
        max_steps=COUNTS,
        epochs=NUMBERS,
        dtype=st.none() | DTYPES | NAMES,
        extras=TRAINING_EXTRAS,
    ),
    extras=TOP_EXTRAS,
)
"""Configurations."""

MODULES = st.builds(
    ModuleFit,
    name=NAMES,
    in_features=st.integers(1, 8),
    out_features=st.integers(1, 8),
    r=st.integers(1, 512),
    alpha=st.floats(),
    scaling=st.floats(),
    params=st.integers(0, 10**9),
)
MODELS = st.none() | st.builds(
    ModelFit,
    base_params=st.none() | st.integers(0, 10**12),
    modules=st.lists(MODULES, max_size=3).map(tuple),
    unmatched_targets=st.lists(NAMES, max_size=2).map(tuple),
    unmatched_patterns=st.lists(NAMES, max_size=2).map(tuple),
    trainable_params=st.none() | st.integers(0, 10**12),
    saved_module_params=st.integers(0, 10**12),
)
"""What a configuration becomes on its model, or nothing."""
