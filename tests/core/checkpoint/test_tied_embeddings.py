"""Output heads and the embeddings that they share."""

import pytest

from gradience.core.checkpoint.tied_embeddings import is_embedding, is_head, tied_paths


@pytest.mark.parametrize(
    "module",
    ["lm_head", "model.lm_head", "embed_out", "cls.predictions.decoder", "lm_head.decoder",
     "vocab_projector", "proj_out"],
)  # fmt: skip
def test_output_layers_are_heads(module: str) -> None:
    assert is_head(module)


@pytest.mark.parametrize("module", ["score", "classifier", "model.layers.0.my_lm_head", "decoder"])
def test_other_modules_are_not(module: str) -> None:
    assert not is_head(module)


@pytest.mark.parametrize(
    ("head", "embedding"),
    [
        ("lm_head", "model.embed_tokens"),
        ("lm_head", "transformer.wte"),
        ("cls.predictions.decoder", "bert.embeddings.word_embeddings"),
        ("proj_out", "model.decoder.embed_tokens"),
        ("embed_out", "gpt_neox.embed_in"),
        ("lm_head", "backbone.embeddings"),
    ],
)
def test_a_head_is_tied_to_the_input_embedding(head: str, embedding: str) -> None:
    paths = ["transformer.h.0.mlp.c_fc", embedding, "transformer.wpe", "position_embeddings"]
    assert tied_paths(head, paths) == (embedding,)


def test_the_shared_embedding_of_t5_goes_before_its_copies() -> None:
    paths = ["encoder.embed_tokens", "decoder.embed_tokens", "shared"]
    assert tied_paths("lm_head", paths) == ("shared",)


def test_several_embeddings_of_one_name_all_compete() -> None:
    paths = ("a.embed_tokens", "b.embed_tokens")
    assert tied_paths("lm_head", paths) == paths


def test_an_embedding_may_be_stored_as_the_head() -> None:
    assert is_embedding("model.embed_tokens")
    assert tied_paths("model.embed_tokens", ["lm_head", "x"]) == ("lm_head",)
    assert tied_paths("lm_head", ["x"]) == ()
