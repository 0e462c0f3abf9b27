"""Runs one function over many items on the machine's cores, results in order."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 8
"""Threads beyond these wait for each other's Python."""


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], *, parallel: bool
) -> Iterator[Result]:
    """Applies a function to every item.

    In parallel, each item has a thread and BLAS a single one: the matrix products here are too
    small to be worth splitting, and items are many. An exception (Ctrl-C too) drops what has not
    begun.

    Args:
        function: Spends its time where Python's lock is free, in NumPy or torch.
        items: The items.
        parallel: Whether the work is worth starting threads.

    Yields:
        The results, in the order of the items.
    """
    workers = min(available_cores(), MOST_WORKERS, len(items))
    if not parallel or workers <= 1:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def available_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
