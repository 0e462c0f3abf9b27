"""How long a regular expression may take on a name, bounded before it is run."""

import math
import re
from collections.abc import Iterator

import attrs

_TOKEN = re.compile(
    r"""(?P<unbounded>\(\?(?:\#|[aiLmsu]*x|\())  # a comment, verbose mode, a condition
    |(?P<open>\((?:\?(?:P<\w+>|<?[=!]|[>:]|[-aiLmsu]+:?))?)
    |(?P<close>\))
    |(?P<bar>\|)
    |(?P<optional>\?[?+]?)
    |(?P<repeat>(?:[*+]|\{)[?+]?)
    |(?P<atom>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)""",
    re.VERBOSE | re.DOTALL,
)


@attrs.frozen
class _Ways:
    """How an expression can match: ``choices`` times every split of a name over ``repeats``."""

    choices: float = 1.0
    repeats: float = 0

    def then(self, other: "_Ways") -> "_Ways":
        return _Ways(self.choices * other.choices, self.repeats + other.repeats)

    def either(self, other: "_Ways") -> "_Ways":
        return _Ways(self.choices + other.choices, max(self.repeats, other.repeats))

    def repeated(self) -> "_Ways":
        """A repeat of what matches in one way; of what matches in several, without a bound."""
        return _Ways(1.0, 1) if self == _ONE else _Ways(math.inf, math.inf)


_ONE = _Ways()


class _Group:
    """An open group while its expression is read."""

    def __init__(self) -> None:
        self.finished: _Ways | None = None
        self.before = _ONE
        self.last = _ONE

    def add(self, ways: _Ways) -> None:
        self.before, self.last = self.before.then(self.last), ways

    def bar(self) -> None:
        self.finished, self.before, self.last = self.all(), _ONE, _ONE

    def all(self) -> _Ways:
        ways = self.before.then(self.last)
        return ways if self.finished is None else self.finished.either(ways)


def most_paths(expression: str, length: int) -> float:
    """An upper bound of the ways in which backtracking tries to match a name.

    A sequence multiplies the ways of its parts and an alternation adds them; k repeats share n
    characters in at most C(n + k, k) ways. A repeat of something that itself matches in several
    ways (``(a+)+``) grows exponentially and counts as infinite.

    Args:
        expression: A regular expression that Python compiles.
        length: n, the length of the longest name.

    Returns:
        The bound, at least 1; infinite for repeats within repeats, and for the forms that are not
        analysed: comments, verbose mode and conditions.
    """
    ways = _ways(_tokens(expression))
    if math.isinf(ways.choices):
        return math.inf
    repeats = int(ways.repeats)
    logarithm = math.lgamma(length + repeats + 1) - math.lgamma(length + 1)
    logarithm += math.log(ways.choices) - math.lgamma(repeats + 1)
    return math.exp(min(logarithm, math.log(LARGEST_BOUND)))


LARGEST_BOUND = 1e300
"""Bounds beyond this are not told apart."""


def _tokens(expression: str) -> Iterator[str]:
    for match in _TOKEN.finditer(expression):
        yield match.lastgroup or ""


def _ways(kinds: Iterator[str]) -> _Ways:
    groups = [_Group()]
    for kind in kinds:
        group = groups[-1]
        match kind:
            case "open":
                groups.append(_Group())
            case "close" if len(groups) > 1:
                groups.pop()
                groups[-1].add(group.all())
            case "bar":
                group.bar()
            case "optional":
                group.last = group.last.either(_ONE)
            case "repeat":
                group.last = group.last.repeated()
            case "unbounded":
                return _Ways(math.inf, math.inf)
            case _:
                group.add(_ONE)
    return groups[0].all()
