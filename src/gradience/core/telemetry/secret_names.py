"""Names that say that their value is a credential: ``password``, ``hub_token``, ``apiKey``.

Pure functions of the names. A name of the field's own vocabulary (``pad_token``, ``tokenizer``,
``max_new_tokens``, ``token_type``) says no such thing.
"""

import functools
import re

SECRET_WORDS = re.compile(
    r"passw(or)?d|passphrase|passcode|secret|credential|conn(ection)?str(ing)?|authorization|cookie"
    r"|(api|access|account|auth|private|signing|encryption|ssh|master|service|storage|shared"
    r"|wandb|hub|openai|anthropic|azure|aws|google|gemini|github|slack|stripe)key"
    r"|(access|auth|api|hub|bearer|refresh|session)token"
)
"""One of these in a name, its separators and capitals dropped, makes it a secret's."""

SECRET_LAST_WORDS = frozenset({"auth", "bearer", "creds", "netrc", "pwd", "sas"})
"""A name that is one of these, or ends in one, is a secret's."""

TOKENS_OF_TEXT = frozenset(
    "pad eos bos unk sep cls mask image audio video stop start end special next first last prefix "
    "suffix middle think new draft forced target trigger prompt class speech label decoder "
    "separator placeholder".split()
)
"""``<word>_token`` is a piece of text."""

TOKENS_OF_ACCESS = frozenset(
    "access api auth bearer bot deploy github gitlab hf hub id oauth personal refresh secret "
    "security session slack wandb".split()
)
"""``<word>_tokens`` are credentials; other plurals are counts or pieces of text."""

GIT_WORDS = frozenset({"commit", "git", "hash", "rev", "revision", "sha", "version"})
"""A name with one of these holds a version, whatever stands around it."""

KEY_LENGTHS = frozenset({40, 46})
"""Of the keys that are told by their context (``local-`` may stand before one)."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_VALUES_BY_CONTEXT = (
    ("wandb", "wandb_api_key", re.compile(r"(?:local-)?[0-9a-f]{40}")),
    ("aws", "aws_secret", re.compile(r"(?![0-9a-f]{40})[A-Za-z0-9/+]{40}")),
)


@functools.lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether the text under a name is a credential, going by the name alone.

    Args:
        name: A key, in any of the usual spellings (``api_key``, ``apiKey``, ``API-KEY``).

    Returns:
        True for passwords, secrets, credentials, access keys and access tokens.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    if SECRET_WORDS.search("".join(words)) or words[-1] in SECRET_LAST_WORDS:
        return True
    before = words[-2] if len(words) > 1 else ""
    if words[-1] == "token":
        return before not in TOKENS_OF_TEXT
    return words[-1] == "tokens" and before in TOKENS_OF_ACCESS


def kind_by_context(text: str, path: str) -> str | None:
    """The kind of credential that a text is for the service that its place names.

    Keys of Weights & Biases are 40 hexadecimal digits, as git's hashes are; secret keys of AWS
    are 40 of base64. Only a place that names the service, and no version, tells them apart.

    Args:
        text: The whole value.
        path: Dotted place of the value in its record.

    Returns:
        The kind; None where the text is no such key.
    """
    if len(text) not in KEY_LENGTHS:
        return None
    name = next((part for part in reversed(path.split(".")) if not part.isdigit()), "")
    if GIT_WORDS.intersection(word.lower() for word in _WORD.findall(name)):
        return None
    place = path.lower()
    for service, kind, value in _VALUES_BY_CONTEXT:
        if service in place and value.fullmatch(text):
            return kind
    return None
