"""The terminal view of a ModelFit: what the configuration becomes on its model."""

from collections.abc import Iterator

from rich.console import Console

from gradience.cli.views.parts import indented, line, number, plain_table
from gradience.core.architecture.fit import ModelFit
from gradience.core.numbers import counted

MEGABYTE = 1_000_000
TARGETS_SHOWN = 12
RANKS_SHOWN = 6


def render_model_fit(fit: ModelFit | None, console: Console) -> None:
    """Prints what is known of the model and of the adapter on it; nothing for None.

    Args:
        fit: The fit.
        console: Where it goes.
    """
    if fit is None:
        return
    rows = list(_rows(fit))
    if rows:
        table = plain_table("on this model", "value")
        table.show_header = False
        table.columns[1].justify = "left"
        table.columns[1].no_wrap = False
        for name, value in rows:
            table.add_row(name, value)
        indented(console, table)
    if fit.reason:
        console.print()
        line(console, f"model: {fit.reason}", "yellow" if rows else "dim")


def _rows(fit: ModelFit) -> Iterator[tuple[str, str]]:
    if fit.model_type is not None:
        size = "" if fit.base_params is None else f", {_count(fit.base_params)} parameters"
        layers = "" if fit.n_layers is None else f", {counted(fit.n_layers, 'layer')}"
        yield "model type", f"{fit.model_type}{layers}{size}"
    matches = [f"{target} {count}" for target, count in fit.matched.items() if count]
    if matches:
        yield "modules matched", _some(matches, TARGETS_SHOWN)
    if fit.unmatched_targets:
        yield "matched by nothing", _some(fit.unmatched_targets, TARGETS_SHOWN)
    if fit.unmatched_patterns:
        yield "patterns unused", _some(fit.unmatched_patterns, TARGETS_SHOWN)
    if fit.modules:
        yield "ranks", _ranks(fit)
    if fit.trainable_params is not None:
        yield "trained parameters", _trained(fit)
    if fit.adapter_bytes is not None:
        yield "adapter file", _megabytes(fit.adapter_bytes)
    memory = _memory(fit)
    if memory:
        yield "training memory", f"{memory} (without base weights and activations)"


def _ranks(fit: ModelFit) -> str:
    """Each rank with its scaling, and how many modules have it."""
    counts: dict[tuple[int, float], int] = {}
    for module in fit.modules:
        key = (module.r, module.scaling)
        counts[key] = counts.get(key, 0) + 1
    if len(counts) == 1:
        ((r, scaling),) = counts
        return f"r {r}, s {number(scaling)}, {counted(len(fit.modules), 'module')}"
    parts = [f"r {r}, s {number(s)}: {count}" for (r, s), count in sorted(counts.items())]
    return _some(parts, RANKS_SHOWN, "; ")


def _trained(fit: ModelFit) -> str:
    trained = fit.trainable_params or 0
    share = (
        f" ({number(100 * trained / fit.base_params)} % of the model)" if fit.base_params else ""
    )
    saved = fit.saved_module_params
    whole = f", of them {saved:,} in modules trained whole" if saved else ""
    return f"{trained:,}{share}{whole}"


def _memory(fit: ModelFit) -> str:
    parts = (
        ("weights", fit.weight_bytes),
        ("gradients", fit.gradient_bytes),
        ("optimizer states", fit.optimizer_bytes),
    )
    return ", ".join(f"{name} {_megabytes(size)}" for name, size in parts if size is not None)


def _some(items: tuple[str, ...] | list[str], limit: int, separator: str = ", ") -> str:
    more = len(items) - limit
    return separator.join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def _count(value: int) -> str:
    """A number of parameters as people say it: 8.03 billion, 124.4 million."""
    for unit, word in ((10**9, "billion"), (10**6, "million")):
        if value >= unit:
            return f"{value / unit:.4g} {word}"
    return f"{value:,}"


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.1f} MB" if size >= MEGABYTE / 10 else f"{size:,} bytes"
