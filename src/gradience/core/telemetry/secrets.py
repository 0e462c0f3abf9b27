"""Credentials inside a text: their shapes, and what stands in their place.

A pure function of the text. It is applied also where text is allowed: that option lets in prompts
and notes, which a person may want to keep; nobody wants a password kept, and telemetry is made to
be handed on. Names that say "secret" are the business of
:mod:`gradience.core.telemetry.secret_names`.

References:
    The prefixes are those that the services document for secret scanning: GitHub, "About
    authentication to GitHub: token formats"; AWS IAM, "Unique identifiers"; Google, "API keys";
    Azure Storage, "Configure connection strings"; GitLab, "Token overview: token prefixes";
    Slack, "Token types"; Stripe, "API keys"; RFC 7519 (JWT); RFC 6750 (bearer); RFC 7468 (PEM).
"""

import functools
import re
from typing import NamedTuple

SECRET_KIND = "secret"  # noqa: S105  a kind, no credential
"""Kind of what is secret by its name alone, whatever it looks like."""

MIN_SHAPED_LEN = 16
"""Shortest credential that is known by its shape alone; a shorter one needs a name or a URL, and
thus one of the signs ``=``, ``:`` and ``-``."""

MAX_REMEMBERED_LEN = 64
"""Longest text of which it is remembered whether it holds a credential."""


class _Shape(NamedTuple):
    """What a credential looks like, and what stands before it and is kept."""

    kind: str
    secret: str
    before: str = ""


def placeholder(kind: str) -> str:
    """What stands in a credential's place: ``[REDACTED <kind>]``, such as ``hf_token``."""
    return f"[REDACTED {kind}]"


def redact_secrets(text: str) -> str:
    """Replaces every credential in a text by :func:`placeholder`; the rest stays as it is.

    Applying it again changes nothing. Time is linear in the length of the text.

    Args:
        text: Any text, of any length.

    Returns:
        The same text, the same object where nothing in it looks like a credential.
    """
    if len(text) < MIN_SHAPED_LEN and not ("=" in text or ":" in text or "-" in text):
        return text
    holds_one = _holds_one_remembered if len(text) <= MAX_REMEMBERED_LEN else _holds_one
    return _SECRETS.sub(_replaced, text) if holds_one(text) else text


def _holds_one(text: str) -> bool:
    return _has_sign(text) and _SECRETS.search(text) is not None


_holds_one_remembered = functools.lru_cache(maxsize=1024)(_holds_one)
"""A run writes the same short texts again and again."""


def _has_sign(text: str) -> bool:
    """False for most texts without a credential, and for none with one."""
    if ("_" in text or "-" in text or "A" in text) and _PREFIXED.search(text) is not None:
        return True
    for mark, signs in _SIGNS:
        if mark in text and any(map(text.__contains__, signs)):
            return True
    lower = text.lower()
    if any(map(lower.__contains__, _WORDS)):
        return True
    is_set = "=" in text or ":" in text or "--" in text
    return is_set and any(map(lower.__contains__, _WORDS_THAT_ARE_SET))


def _replaced(match: re.Match[str]) -> str:
    kind = match.lastgroup or SECRET_KIND
    start, end = match.start(), match.end()
    kept = match.string[start : match.start(kind)]
    return kept + placeholder(kind) + match.string[match.end(kind) : end]


_APART = r"(?<![A-Za-z0-9])"
_OPENED = r"""[\\"']*"""
_SET_TO = _OPENED + r"\s*(?:=>|[=:])\s*(?:(?i:bearer|basic)\s+)?"
_NOT_REDACTED = r"""(?![\\"']*(?:\[REDACTED |-----BEGIN ))"""
_IN_QUOTES = r"""[\\]+"[^"]*"?|[\\]+'[^']*'?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?"""
_VALUE = _NOT_REDACTED + rf"""(?:{_IN_QUOTES}|[^\s"']+)"""
_LONG_VALUE = _NOT_REDACTED + rf"""(?:{_IN_QUOTES}|[^\s"']{{8,}})"""

_NAMES = (
    r"(?i:passw(?:or)?d|passphrase|passcode|pwd|secret|credential"
    r"|(?:api|access|account|auth|private|signing|encryption)[ _-]?key)[A-Za-z0-9_-]{0,32}"
)
_TOKEN = (
    "".join(
        rf"(?<!{word}[ _-])"
        for word in (
            "pad eos bos unk sep cls mask image audio video stop start end special next first last"
        ).split()
    )
    + "(?i:token)"
)
_BASE64 = r"[A-Za-z0-9/+]"
_AWS_SECRET = rf"(?<!{_BASE64})(?![0-9a-f]{{40}}){_BASE64}{{40}}(?!{_BASE64})"

_SHAPES = (
    _Shape(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[\s\S]*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    _Shape(
        "authorization",
        _NOT_REDACTED + r"""(?:(?i:digest)[^\r\n]*|(?:(?i:bearer|basic|token)\s+)?[^\s"'\\]+)""",
        r"(?i:authorization)" + _OPENED + r"\s*[:=]\s*" + _OPENED,
    ),
    _Shape(
        "hf_token",
        r"(?:hf|api_org)_(?:(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{16,}|[a-z]{30,})"
        r"|hf_(?:oauth|jwt)_[A-Za-z0-9._-]{16,}",
    ),
    _Shape("wandb_key", r"wandb_v1_[A-Za-z0-9_-]{16,}"),
    _Shape(
        "wandb_api_key",
        r"[0-9a-f]{40}(?![0-9A-Za-z])",
        rf"(?i:wandb|weights (?:and|&) biases)"
        rf"(?:(?!(?i:commit|hash|sha|rev|git))[^\n]){{0,40}}?{_APART}",
    ),
    _Shape(
        "aws_key",
        rf"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{{16}}(?:[\s\S]{{0,40}}?{_AWS_SECRET})?",
        r"(?<![A-Z0-9])",
    ),
    _Shape("aws_secret", _AWS_SECRET, r"(?i:aws)[\s\S]{0,40}?"),
    _Shape(
        "google_key",
        r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}|GOCSPX-[A-Za-z0-9_-]{16,}",
    ),
    _Shape(
        "azure_key",
        r"""[^\s"'&;,]{16,}""",
        _APART + r"(?:(?i:AccountKey|SharedAccessKey|SharedSecretKey)|sig|SIG|Sig)=",
    ),
    _Shape("azure_secret", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,}"),
    _Shape("github_token", r"gh[pousr]_[A-Za-z0-9_.-]{16,}|github_pat_[A-Za-z0-9_]{16,}"),
    _Shape(
        "gitlab_token",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_.-]{16,}",
        _APART,
    ),
    _Shape("anthropic_key", r"sk-ant-[A-Za-z0-9_-]{16,}", _APART),
    _Shape(
        "openai_key",
        r"sk-(?:(?:proj|svcacct|admin|or)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})",
        _APART,
    ),
    _Shape(
        "slack_token",
        r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{12,}|xapp-[0-9]-[A-Za-z0-9-]{12,}"
        r"|hooks\.slack\.com/[a-z]+/[A-Za-z0-9/+_-]{10,}",
    ),
    _Shape(
        "stripe_key",
        r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{16,}",
        _APART,
    ),
    _Shape("jwt", r"eyJ[A-Za-z0-9_-]{6,2048}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,3}"),
    _Shape(
        "service_token",
        r"npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{50,}|do[opr]_v1_[0-9a-f]{40,}"
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|r8_[A-Za-z0-9]{30,}|dapi[0-9a-f]{32}"
        r"|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}|nvapi-[A-Za-z0-9_-]{30,}"
        r"|pplx-[A-Za-z0-9]{30,}|KGAT_[A-Za-z0-9]{16,}",
        _APART,
    ),
    _Shape(
        "url_password",
        r"""[^\s/:@"']{0,256}:(?:[^\s/"']{1,512}|(?![0-9]{1,5}/)[^\s"'@]{1,512})(?=@)""",
        "://",
    ),
    _Shape(
        "bearer_token",
        r"(?:(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/=-]{10,}|[A-Za-z0-9._~+/=-]{24,})",
        r"(?i:bearer)\s+",
    ),
    _Shape("secret_value", _VALUE, rf"{_NAMES}{_SET_TO}"),
    _Shape("token_value", _LONG_VALUE, rf"{_TOKEN}{_SET_TO}"),
    _Shape("flag_value", _VALUE, rf"--[A-Za-z0-9_-]{{0,32}}?(?:{_NAMES}|{_TOKEN})\s+"),
)

_SECRETS = re.compile("|".join(f"{s.before}(?P<{s.kind}>{s.secret})" for s in _SHAPES))

_PREFIXED = re.compile(r"[_-][A-Za-z0-9._-]{12}|A[A-Za-z0-9_-]{19}")
"""Found in every credential that has a prefix: ``hf_``, ``xoxb-``, ``AKIA``, ``AIza`` …"""

_SIGNS = (
    (".", ("eyJ", "ya29.", "SG.", "hooks.slack")),
    ("=", ("sig=", "Sig=", "SIG=")),
    (":", ("://",)),
    ("-", ("-----BEGIN ",)),
    ("~", ("Q~",)),
)
_WORDS = ("wandb", "biases", "aws", "bearer", "dapi")
_WORDS_THAT_ARE_SET = (
    "key", "token", "secret", "passw", "passphrase", "passcode", "pwd", "credential",
    "authorization",
)  # fmt: skip
"""One of all these, or a prefix, stands in every text that a shape fits: cheap to look for."""
