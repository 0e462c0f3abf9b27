"""Strategies of rows as training tools log them, and of what else may stand in their files."""

from collections.abc import Mapping

from hypothesis import strategies as st

from gradience.core.foreign_logs.kinds import LogFileKind
from property_tests.events import JSON_VALUES, NUMBERS, WORDS

Row = Mapping[str, object]

NAMES = st.sampled_from(
    [
        "loss",
        "learning_rate",
        "lr",
        "grad_norm",
        "epoch",
        "step",
        "eval_loss",
        "eval_runtime",
        "eval_a_loss",
        "eval_a_b_loss",
        "eval_a_b_runtime",
        "eval/loss",
        "eval_",
        "test_loss",
        "val_accuracy",
        "holdout_runtime",
        "holdout_loss",
        "train_loss",
        "train/loss",
        "train_runtime",
        "total_flos",
        "current_steps",
        "total_steps",
        "elapsed_time",
        "percentage",
        "global_step/max_steps",
        "global_step",
        "iteration",
        "memory(GiB)",
        "best_metric",
        "last_model_checkpoint",
        "best_model_checkpoint",
        "log_history",
        "rewards/margins",
        "train loss",
        "valid accuracy",
        "test accuracy",
        "elapsed time",
        "ts",
        "run_id",
        "nonfinite",
        "$extras",
        "extra_lr",
    ]
)

TEXTS = st.sampled_from(
    ["0.5", "1e-4", "nan", "-Infinity", "5/100", "1:02:03", "1d 2h 3m 4s", "9" * 30, "n/a", ""]
)

STEPS = st.integers(-5, 2000)

VALUES = NUMBERS | STEPS | TEXTS | JSON_VALUES

ROWS: st.SearchStrategy[Row] = st.dictionaries(NAMES | WORDS, VALUES, max_size=8)
"""Anything under the names that the readers look for."""

PLAIN_STEPS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {"step": STEPS, "loss": NUMBERS},
    optional={"epoch": NUMBERS, "grad_norm": NUMBERS, "kl": NUMBERS, "learning_rate": NUMBERS},
)
"""Training steps as the Trainer logs them."""

LLAMA_ROWS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {"current_steps": STEPS, "total_steps": st.just(2000)},
    optional={"loss": NUMBERS, "eval_loss": NUMBERS, "lr": NUMBERS, "percentage": NUMBERS},
)

ROW_KINDS = st.sampled_from([kind for kind in LogFileKind if kind is not LogFileKind.TELEMETRY_V1])
