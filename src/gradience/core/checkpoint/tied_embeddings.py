"""Output heads that share the input embedding's tensor, which a checkpoint stores once."""

from collections.abc import Iterable

# fmt: off
HEADS = frozenset({
    "lm_head", "embed_out", "proj_out", "vocab_projector", "generator_lm_head", "lm_head.decoder",
    "cls.predictions.decoder", "predictions.decoder", "pred_layer.proj", "output_projection",
})
"""Last components of output layers that transformers ties to the input embedding."""

EMBEDDINGS = (
    "shared", "embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings",
    "token_embedding", "embeddings.word_embeddings", "word_embedding", "backbone.embeddings",
)
"""Last components of input embeddings of tokens, ``shared`` (T5, BART) before those that are tied
to it."""
# fmt: on


def is_head(module: str) -> bool:
    """Whether a module is an output layer that may be tied."""
    return any(_ends(module, head) for head in HEADS)


def is_embedding(module: str) -> bool:
    """Whether a module is an input embedding of tokens."""
    return any(_ends(module, embedding) for embedding in EMBEDDINGS)


def tied_paths(module: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The tensors that may stand for one of a tied pair that has none of its own.

    Args:
        module: An output layer or an input embedding.
        paths: The checkpoint's weights.

    Returns:
        Embeddings of the first name that there is, else, for an embedding, the output layers.
    """
    known = tuple(paths)
    for embedding in EMBEDDINGS:
        found = tuple(path for path in known if _ends(path, embedding))
        if found:
            return found
    return tuple(path for path in known if is_head(path)) if is_embedding(module) else ()


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith("." + ending)
