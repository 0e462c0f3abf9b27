"""What a checkpoint's config.json says that finding its weights needs."""

from collections.abc import Iterator, Mapping

import attrs

Config = Mapping[str, object]

INNER_CONFIGS = ("text_config", "llm_config", "thinker_config")
"""Where models of several parts keep the settings of the language model."""


CONV1D_MODELS = frozenset({"clvp", "decision_transformer", "gpt2", "imagegpt", "openai-gpt"})
"""Model types whose linear layers are Conv1D, stored as (d_in, d_out) (transformers 5.23)."""

TRANSPOSED_EXPERTS = frozenset({"aria", "aria_text", "gpt_oss", "openai_privacy_filter"})
"""Model types whose stacks of experts are (experts, d_in, d_out), which transformers 5.23 marks as
``is_transposed``; PEFT takes all others as (experts, d_out, d_in)."""


@attrs.frozen(kw_only=True)
class CheckpointFacts:
    """The part of config.json that is used; nothing is known of a checkpoint without one."""

    model_type: str | None = None
    tied_embeddings: bool | None = None
    """``tie_word_embeddings``; None where it is left to the model's default."""
    quantization: Config = attrs.field(factory=dict[str, object])
    """``quantization_config``; empty where there is none."""

    def transposed(self, *, expert: bool) -> bool:
        """Whether linear weights, or those of stacked experts, are stored as (d_in, d_out)."""
        return self.model_type in (TRANSPOSED_EXPERTS if expert else CONV1D_MODELS)


def checkpoint_facts(config: Config, quantize_config: Config | None = None) -> CheckpointFacts:
    """Reads what is needed from a parsed config.json.

    Args:
        config: The settings; those of another type than expected count as absent.
        quantize_config: AutoGPTQ's quantize_config.json, used where the settings name no
            quantisation.
    """
    gptq = {"quant_method": "gptq", **quantize_config} if quantize_config else {}
    configs = (config, *_inner(config))
    model_type = config.get("model_type")
    tied = (each.get("tie_word_embeddings") for each in configs)
    quantization = (each.get("quantization_config") for each in configs)
    return CheckpointFacts(
        model_type=model_type if isinstance(model_type, str) else None,
        tied_embeddings=next((value for value in tied if isinstance(value, bool)), None),
        quantization=next((_texts(value) for value in quantization if _texts(value)), gptq),
    )


def _inner(config: Config) -> Iterator[Config]:
    for name in INNER_CONFIGS:
        inner = _texts(config.get(name))
        if inner:
            yield inner
            yield from _inner(inner)


def _texts(value: object) -> Config:
    """A mapping with keys of text, empty for anything else."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}
