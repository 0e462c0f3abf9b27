"""Templates of a model's modules: one line a module, repeated over its layers.

A line is ``[condition] path kind sizes… marks…``:

- ``[flag]`` or ``[!flag]``: the line holds only where the size named so is not zero, or is zero;
- the path begins with ``@`` where the base model's prefix belongs; ``{layers}`` repeats the line
  for every number in, or below, the size of that name;
- the kind is ``linear``, ``conv1d``, ``conv``, ``embed``, ``norm``, ``rms`` or ``params``; ``+``
  after it means with a bias, ``?flag`` with one if the flag says so;
- sizes are names or numbers: (in, out), for ``conv`` also the kernel; for ``params`` they are
  ``name=size,size``;
- marks: ``tied`` (the weight is another module's where embeddings are tied), ``all-tied`` (so is
  the bias), ``shared`` (the weight always is another's), ``input`` and ``output`` (the model's
  embeddings), ``depthwise``, ``transposed`` (of a stack of experts: it is (experts, d_in, d_out)).

Lines with the same path describe one module together.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from gradience.core.architecture.modules import ModelModule, ModuleKind, Parameter
from gradience.core.errors import ConfigError

Sizes = Mapping[str, int | tuple[int, ...]]
"""What a template's names stand for: a size, a flag (0 or 1), or numbers of layers."""

MOST_MODULES = 200_000
"""A model with more is a damaged file; the deepest published ones have some thousands."""

_MARKS = frozenset({"tied", "all-tied", "shared", "input", "output", "depthwise", "transposed"})
_REPEAT = re.compile(r"\{(\w+)\}")
_KINDS = {
    "linear": ModuleKind.LINEAR,
    "conv1d": ModuleKind.CONV1D,
    "conv": ModuleKind.CONVOLUTION,
    "embed": ModuleKind.EMBEDDING,
}


class _Line(NamedTuple):
    condition: str
    path: str
    kind: str
    bias: str
    """A flag's name, "1" for always, empty for never."""
    sizes: tuple[str, ...]
    marks: frozenset[str]


class Expansion(NamedTuple):
    """What a template describes with given sizes."""

    modules: tuple[ModelModule, ...]
    input_embedding: str | None
    output_embedding: str | None


def expand(template: str, sizes: Sizes, prefix: str, *, tied: bool) -> Expansion:
    """The modules that a template describes.

    Args:
        template: The lines.
        sizes: What their names stand for.
        prefix: Stands for ``@``, with its dot.
        tied: Whether the model ties its embeddings.

    Raises:
        ConfigError: There are more modules than any model has.
        KeyError: The template uses a name that ``sizes`` lacks: a mistake in the family's data.
    """
    modules: dict[str, ModelModule] = {}
    marked: dict[str, str] = {}
    for line in _parsed(template):
        if not _holds(line.condition, sizes):
            continue
        for name in _names(line.path.replace("@", prefix), sizes):
            if len(modules) > MOST_MODULES:
                raise ConfigError(f"config.json describes more than {MOST_MODULES} modules")
            module = _module(line, name, sizes, tied=tied)
            modules[name] = _joined(modules[name], module) if name in modules else module
            marked.update(dict.fromkeys(line.marks, name))
    return Expansion(tuple(modules.values()), marked.get("input"), marked.get("output"))


def _joined(first: ModelModule, second: ModelModule) -> ModelModule:
    return first._replace(parameters=first.parameters + second.parameters)


@lru_cache(maxsize=256)
def _parsed(template: str) -> tuple[_Line, ...]:
    return tuple(_line(text.split()) for text in template.splitlines() if text.strip())


def _line(words: list[str]) -> _Line:
    condition = words.pop(0)[1:-1] if words[0].startswith("[") else ""
    path, kind, *rest = words
    kind, _, flag = kind.partition("?")
    marks = frozenset(rest) & _MARKS
    sizes = tuple(word for word in rest if word not in _MARKS)
    return _Line(condition, path, kind.rstrip("+"), "1" if "+" in kind else flag, sizes, marks)


def _holds(condition: str, sizes: Sizes) -> bool:
    if not condition:
        return True
    negated = condition.startswith("!")
    return bool(sizes[condition.lstrip("!")]) is not negated


def _names(path: str, sizes: Sizes) -> Iterator[str]:
    match = _REPEAT.search(path)
    if match is None:
        yield path
        return
    count = sizes[match[1]]
    for number in range(count) if isinstance(count, int) else count:
        yield from _names(f"{path[: match.start()]}{number}{path[match.end() :]}", sizes)


def _module(line: _Line, name: str, sizes: Sizes, *, tied: bool) -> ModelModule:
    if line.kind == "params":
        own, turned = _own(line.sizes, sizes), "transposed" in line.marks
        return ModelModule(name, ModuleKind.OTHER, 0, 0, own, transposed=turned)
    numbers = [_size(word, sizes) for word in line.sizes]
    bias = bool(line.bias) and bool(_size(line.bias, sizes))
    if line.kind in ("norm", "rms"):
        norm = _with_bias(tuple(numbers), numbers[0], bias=bias)
        return ModelModule(name, ModuleKind.OTHER, 0, 0, norm)
    d_in, d_out, *kernel = numbers
    groups = d_in if "depthwise" in line.marks else 1
    shape = {
        "linear": (d_out, d_in),
        "conv1d": (d_in, d_out),
        "conv": (d_out, d_in // max(groups, 1), *kernel),
        "embed": (d_in, d_out),
    }[line.kind]
    parameters = _with_bias(shape, d_out, bias=bias)
    kind = _KINDS[line.kind]
    shared = _shared(line.marks, tied=tied)
    return ModelModule(name, kind, d_in, d_out, parameters, tuple(kernel), groups, shared)


def _shared(marks: frozenset[str], *, tied: bool) -> frozenset[str]:
    if "all-tied" in marks and tied:
        return frozenset({"weight", "bias"})
    shares = "shared" in marks or ("tied" in marks and tied)
    return frozenset({"weight"}) if shares else frozenset()


def _with_bias(shape: tuple[int, ...], length: int, *, bias: bool) -> tuple[Parameter, ...]:
    weight = Parameter("weight", shape)
    return (weight, Parameter("bias", (length,))) if bias else (weight,)


def _own(words: tuple[str, ...], sizes: Sizes) -> tuple[Parameter, ...]:
    pairs = (word.partition("=")[::2] for word in words)
    return tuple(
        Parameter(name, tuple(_size(size, sizes) for size in shape.split(",") if size))
        for name, shape in pairs
    )


def _size(word: str, sizes: Sizes) -> int:
    if word.isdigit():
        return int(word)
    value = sizes[word]
    return value if isinstance(value, int) else len(value)
