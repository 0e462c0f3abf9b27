"""Layers that PEFT's ``layer_replication`` made of a checkpoint's."""

from collections.abc import Sequence

LayerRanges = Sequence[tuple[int, int]]


def source_module(module: str, ranges: LayerRanges) -> str | None:
    """The module whose weights a module of a replicated layer shares.

    ``layer_replication`` stacks ranges of layers: [[0, 4], [2, 5]] makes layers 0, 1, 2, 3, 2, 3, 4
    of five, so that the sixth is the checkpoint's layer 3.

    Args:
        module: The module's name in the adapted model; its first number is the layer.
        ranges: First layer and end of each range; empty for a model without replication.

    Returns:
        The module's name in the checkpoint's model; None where the layer is beyond the ranges.
    """
    if not ranges:
        return module
    parts = module.split(".")
    place = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    if place is None:
        return module
    layer = int(parts[place])
    for start, end in ranges:
        if layer < end - start:
            return ".".join((*parts[:place], str(start + layer), *parts[place + 1 :]))
        layer -= max(0, end - start)
    return None
