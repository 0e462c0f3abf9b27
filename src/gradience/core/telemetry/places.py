"""Where and by whom something was run: paths inside a text, names that announce a person or host.

Pure functions of the text and of the names. Host and user names cannot be told from other words:
only the name of a value announces them.
"""

import re

PRIVATE_KIND = "private"
"""Kind of what names a person or a machine."""

PRIVATE_NAMES = frozenset(
    "cwd email home homedir host hostname ip login mail nodename pwd user username".split()
)
"""A name that is one of these, or whose last two words joined are, holds something private."""

PRIVATE_LAST_WORDS = frozenset({"email", "hostname", "nodename", "username"})
"""A name that ends in one of these holds something private."""

PATH = "[REDACTED path]"
"""Stands for a path."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_PATH = re.compile(
    r"(?<![\w./~\\-])"
    r"(?:~(?:[A-Za-z_][\w.-]*)?/|/(?=[^/\s\"']+/)|file://|[A-Za-z]:(?:\\|/(?!/))|\\\\\w)"
    r"[^\s\"'<>|]*"
)


def redact_paths(text: str) -> str:
    r"""Replaces absolute paths and those in a home folder by :data:`PATH`.

    A path is ``/a/b`` (two components at least), ``~/a``, ``C:\a``, ``\\host\a`` or ``file://``;
    ``organisation/model``, a fraction and the path of a web address are none. A text that begins
    with a path is replaced as a whole, as the path may hold blanks. Applying it again changes
    nothing.

    Args:
        text: Any text.

    Returns:
        The same text, the same object where it holds no path.
    """
    if "/" not in text and "\\" not in text:
        return text
    first = _PATH.search(text)
    if first is None:
        return text
    return _PATH.sub(PATH, text) if text[: first.start()].strip() else PATH


def is_private_name(name: str) -> bool:
    """Whether the text under a name is a person's or a machine's name, or where it lives.

    Args:
        name: A key in any of the usual spellings (``host_name``, ``hostName``).
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    if "".join(words) in PRIVATE_NAMES or "".join(words[-2:]) in PRIVATE_NAMES:
        return True
    return words[-1] in PRIVATE_LAST_WORDS
