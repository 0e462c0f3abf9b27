"""kohya's layout: ``lora_unet_<path>.lora_down.weight``, ``.lora_up.weight``, ``.alpha``."""

import re
from collections.abc import Mapping, Sequence

from gradience.core.adapter.pairing import A_SIDE, B_SIDE, Factor, pair_factors
from gradience.core.adapter.scaling import scaling_of_alpha
from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    AdapterContents,
    LoraPair,
    TensorInfo,
    TensorKind,
)
from gradience.core.numbers import counted

KOHYA_LAYOUT = "kohya"

TRAINING_KEYS = (
    "ss_network_module ss_network_dim ss_network_alpha ss_network_args ss_network_dropout "
    "ss_learning_rate ss_unet_lr ss_text_encoder_lr ss_optimizer ss_lr_scheduler "
    "ss_lr_warmup_steps ss_mixed_precision ss_max_grad_norm ss_num_epochs ss_epoch ss_steps "
    "ss_max_train_steps ss_seed ss_scale_weight_norms ss_base_model_version"
).split()
"""The settings that are reported; kohya's metadata also holds prompts, tags and folder names."""

_FACTOR = re.compile(r"^(?P<module>.+)[._]lora_(?P<side>down|up)\.weight$")
_TUCKER = re.compile(r"^(?P<module>.+)[._]lora_mid\.weight$")
_ALPHA = re.compile(r"^(?P<module>.+)\.alpha$")
_KINDS: Sequence[tuple[re.Pattern[str], TensorKind]] = (
    (re.compile(r"\.dora_scale$"), TensorKind.DORA_MAGNITUDE),
    (re.compile(r"\.alpha$"), TensorKind.SCALING),
    (re.compile(r"\.diff(_b)?$"), TensorKind.FULL_DIFFERENCE),
    (re.compile(r"lora_(down|up|mid)\b|hada_|lokr_|oft_"), TensorKind.UNREAD_FACTOR),
    (re.compile(r"\.bias$"), TensorKind.BIAS),
)


def read_kohya(
    tensors: Sequence[TensorInfo], scalars: Mapping[str, float], metadata: Mapping[str, str]
) -> AdapterContents:
    """Pairs the factors of a kohya file: s = alpha / rank, or 1 where a module has no alpha.

    Args:
        tensors: The tensors of the file.
        scalars: Values of its one-element tensors, the alphas among them.
        metadata: The header's ``__metadata__``.

    Returns:
        The pairs; a module with a ``lora_mid`` (a Tucker decomposition) is left unaudited.
    """
    tucker = {match["module"] for tensor in tensors if (match := _TUCKER.match(tensor.name))}
    factors: list[Factor] = []
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = _FACTOR.match(tensor.name)
        flat = len(tensor.shape) < MATRIX_DIMENSIONS
        if match is None or flat or match["module"] in tucker:
            others.append((tensor, _kind(tensor.name)))
        else:
            side = A_SIDE if match["side"] == "down" else B_SIDE
            factors.append(Factor(match["module"], side, tensor))
    alphas = {match["module"]: x for name, x in scalars.items() if (match := _ALPHA.match(name))}
    pairing = pair_factors(factors)
    return AdapterContents(
        layout=KOHYA_LAYOUT,
        pairs=tuple(
            LoraPair(module, a, b, scaling_of_alpha(alphas.get(module), a.shape[0]))
            for module, (a, b) in pairing.complete.items()
        ),
        incomplete=pairing.incomplete,
        others=tuple(others),
        notes=_notes(pairing.complete.keys() - alphas.keys(), metadata),
        training_metadata={key: metadata[key] for key in TRAINING_KEYS if key in metadata},
    )


def _notes(without_alpha: set[str], metadata: Mapping[str, str]) -> tuple[str, ...]:
    if not without_alpha:
        return ()
    note = f"no alpha tensor for {counted(len(without_alpha), 'module')}; loaders scale by 1"
    configured = metadata.get("ss_network_alpha")
    return (note if configured is None else f"{note}, though ss_network_alpha is {configured}",)


def _kind(name: str) -> TensorKind:
    for pattern, kind in _KINDS:
        if pattern.search(name):
            return kind
    return TensorKind.SAVED_MODULE
