"""Text-like data, generated: a plain dialect to pretrain on and another one to adapt to."""

import random
from collections.abc import Callable, Sequence

NOUNS = "cat|dog|bird|fox|king|girl|boy|cook|river|house|garden|road|ship|lamp|stone".split("|")
ADJECTIVES = "small|old|red|quiet|young|bright|cold|green".split("|")
VERBS = "sees|finds|likes|follows|paints|carries|leaves|remembers".split("|")
PLACES = "near the sea|under the bridge|behind the hill|in the town".split("|")

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,?:"
"""Every character that the generated text holds; a token is an index into it."""


def plain_sentence(rng: random.Random) -> str:
    """A sentence of the first dialect: ``the old cat sees a red house near the sea.``."""
    place = rng.choice(["", " " + rng.choice(PLACES)])
    return f"the {_phrase(rng)} {rng.choice(VERBS)} a {_phrase(rng)}{place}.\n"


def question_sentence(rng: random.Random) -> str:
    """A sentence of the second dialect, a question and its answer about the first.

    ``what does the old cat see? a red house: the cat.``
    """
    subject, noun = rng.choice(NOUNS), rng.choice(NOUNS)
    verb, adjective = rng.choice(VERBS), rng.choice(ADJECTIVES)
    asked = f"what does the {rng.choice(ADJECTIVES)} {subject} {verb.removesuffix('s')}?"
    return f"{asked} a {adjective} {noun}: the {subject}.\n"


def encode(text: str) -> list[int]:
    """The tokens of a text.

    Raises:
        ValueError: A character is not in :data:`ALPHABET`.
    """
    return [ALPHABET.index(character) for character in text]


def token_blocks(
    sentence: Callable[[random.Random], str], count: int, length: int, seed: int
) -> Sequence[list[int]]:
    """Blocks of consecutive tokens of generated sentences.

    Args:
        sentence: What to write.
        count: How many blocks.
        length: Tokens per block.
        seed: The same seed gives the same blocks.

    Returns:
        ``count`` lists of ``length`` tokens.
    """
    rng = random.Random(seed)  # noqa: S311  toy data, no secret
    tokens: list[int] = []
    while len(tokens) < count * length:
        tokens.extend(encode(sentence(rng)))
    return [tokens[start : start + length] for start in range(0, count * length, length)]


def _phrase(rng: random.Random) -> str:
    return f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
