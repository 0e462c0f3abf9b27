"""PEFT's methods by name: which have a low-rank update, and what the others learn."""

from collections.abc import Mapping

from gradience.core.errors import UnsupportedAdapterError

LORA = "LORA"
"""The ``peft_type`` whose update is one product B·A per module."""

ADALORA = "ADALORA"
"""The ``peft_type`` whose update is B·diag(E)·A with pruned directions."""

NO_LOW_RANK_UPDATE: Mapping[str, str] = {
    "ADAMSS": "low-rank updates within clusters of the weight's singular subspaces",
    "ADAPTION_PROMPT": "prompts inside the layers",
    "BEFT": "bias vectors",
    "BOFT": "an orthogonal factor multiplied onto the weight",
    "BONE": "a block-wise additive update of full rank",
    "C3A": "a block-circular convolution",
    "CARTRIDGE": "a key-value cache put before the input",
    "CPT": "prompt embeddings",
    "DEFT": "a projection of the weight together with an injection",
    "DELORA": "a product whose directions are normalised and whose size is learned apart",
    "FOURIERFT": "a sparse spectrum in the Fourier basis",
    "FROD": "sparse coefficients in bases shared by all layers",
    "GLORA": "scales and shifts of weight and bias",
    "GRALORA": "a grid of low-rank blocks, of full rank together",
    "HIRA": "a low-rank product multiplied onto the weight, entry by entry",
    "HRA": "a product of Householder reflections",
    "IA3": "one scaling vector per module",
    "LILY": "low-rank factors shared between layers and mixed by a router",
    "LN_TUNING": "LayerNorm parameters",
    "LOHA": "a Hadamard product of two low-rank products",
    "LOKR": "a Kronecker product",
    "MISS": "a shard-wise additive update of full rank",
    "MULTITASK_PROMPT_TUNING": "prompt embeddings",
    "OFT": "an orthogonal factor multiplied onto the weight",
    "OSF": "the weight's lower singular subspace",
    "PEANUT": "an update computed from the weight by a small network",
    "POLY": "a routed mixture of skills",
    "PREFIX_TUNING": "key and value prefixes",
    "PROMPT_TUNING": "prompt embeddings",
    "PSOFT": "an orthogonal factor between the weight's own leading directions",
    "PVERA": "fixed random factors with learned distributions of scaling vectors",
    "P_TUNING": "a prompt encoder",
    "RANDLORA": "sums of fixed random bases of full rank",
    "ROAD": "rotations of pairs of outputs",
    "SHADOW": "a small network beside the model",
    "SHIRA": "a sparse update",
    "SUPERTUNING": "single entries of the weight",
    "TINYLORA": "a few numbers through fixed random tensors",
    "TRAINABLE_TOKENS": "rows of the embedding",
    "UNILORA": "entries of one shared vector",
    "VBLORA": "a mixture of vectors from a shared bank",
    "VERA": "fixed random factors with trained scaling vectors",
    "WAVEFT": "sparse coefficients in the wavelet basis",
    "XLORA": "a gate over several LoRA adapters (audit each of them)",
}
"""PEFT types without a low-rank product B·A of their own, and what they learn instead
(source: the PEFT package's tuners, 0.21)."""

OTHER_UPDATES: Mapping[str, str] = {
    "kasa_config": "puts a learned diagonal between the factors and truncates the base weight",
    "use_bdlora": "stores one factor as its diagonal blocks",
    "use_qalora": "averages groups of inputs before lora_A",
}
"""Settings of LoRA under which the update is not s·B·A, and what they do (source: the PEFT
package's LoRA variants, 0.21)."""


def require_low_rank(kind: str, place: str) -> None:
    """Passes a method whose update is a low-rank product that can be audited.

    Args:
        kind: The ``peft_type``, in capitals.
        place: The file, for messages.

    Raises:
        UnsupportedAdapterError: The adapter has no low-rank update of its own; the message names
            what it learns instead.
    """
    if kind in NO_LOW_RANK_UPDATE:
        raise UnsupportedAdapterError(
            f"{place}: expected a LoRA adapter, found peft_type {kind}, which learns "
            f"{NO_LOW_RANK_UPDATE[kind]}: it has no low-rank spectrum to audit."
        )
    if kind not in {LORA, ADALORA}:
        raise UnsupportedAdapterError(
            f"{place}: expected a LoRA adapter, found peft_type {kind} (an update that this "
            "version does not know), which it does not read yet."
        )


def require_plain_product(settings: Mapping[str, object], place: str) -> None:
    """Passes a LoRA adapter whose update is the product of its stored factors.

    Args:
        settings: Its configuration.
        place: The file, for messages.

    Raises:
        UnsupportedAdapterError: A setting makes the update another one.
    """
    for name, what in OTHER_UPDATES.items():
        if settings.get(name):
            raise UnsupportedAdapterError(
                f"{place}: expected a LoRA adapter whose update is s·B·A, found {name}, which "
                f"{what}: the singular values of B·A are not those of the update."
            )


def refuse_moved_weights(init: str, place: str) -> UnsupportedAdapterError:
    """The refusal of an adapter whose factors hold part of the base weight.

    Args:
        init: The initialisation.
        place: The configuration, for the message.

    Returns:
        The error to raise.
    """
    return UnsupportedAdapterError(
        f"{place}: init_lora_weights={init!r} moves part of the base weight into the factors, so "
        "B·A is not the update. Name the adapter that training began with (--initial-adapter), and "
        "the audit takes it away; or convert the adapter to plain LoRA (save_pretrained with "
        "path_initial_model_for_weight_conversion)."
    )
