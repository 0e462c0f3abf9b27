"""The log files that can be told apart."""

from enum import Enum

HEAD_BYTES = 64 * 2**10
"""First bytes that are looked at to tell the kind of a file."""


class LogFileKind(Enum):
    """What wrote a log; the value stands under ``converted_from`` in the run's ``meta``."""

    TELEMETRY_V1 = "telemetry_v1"
    TRAINER_STATE = "trainer_state"
    """Hugging Face's ``trainer_state.json``, under any file name."""
    LOG_HISTORY = "log_history"
    """The Trainer's ``log_history`` alone: a JSON list of rows."""
    LLAMA_FACTORY = "llama_factory"
    """LLaMA-Factory's ``trainer_log.jsonl``."""
    MS_SWIFT = "ms_swift"
    """ms-swift's ``logging.jsonl``, of its Trainer and its Megatron part."""
    TORCHTUNE = "torchtune"
    """The text log of torchtune's ``DiskLogger``: ``Step 1 | loss:2.1 lr:2e-05``."""
    STEP_LOG = "step_log"
    """JSON Lines of one step or evaluation each, under the Trainer's or torchtune's names."""
    PEFT_RESULT = "peft_method_comparison"
    """A result file of PEFT's method comparison."""
