"""Work on several cores: in order, and dropped at the first exception."""

import threading
import time
from collections.abc import Callable

import pytest

from gradience.shell import workers
from gradience.shell.workers import MOST_WORKERS, available_cores, map_in_order

ITEMS = range(40)


@pytest.fixture(params=[1, 2, 4])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(workers, "available_cores", lambda: count)
    return count


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "available_cores", lambda: 2)


def _square(item: int) -> int:
    return item * item


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("parallel", [True, False])
def test_results_come_in_the_order_of_the_items(*, parallel: bool) -> None:
    def late(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return _square(item)

    assert list(map_in_order(late, ITEMS, parallel=parallel)) == [_square(x) for x in ITEMS]


@pytest.mark.usefixtures("cores")
def test_no_items_give_no_results() -> None:
    assert list(map_in_order(_square, [], parallel=True)) == []


def test_threads_are_started_only_where_they_help(cores: int) -> None:
    def thread(_: int) -> int:
        time.sleep(0.001)
        return threading.get_ident()

    serial = set(map_in_order(thread, ITEMS, parallel=False))
    assert serial == {threading.get_ident()}
    single = set(map_in_order(thread, [1], parallel=True))
    assert single == {threading.get_ident()}
    many = set(map_in_order(thread, ITEMS, parallel=True))
    assert (threading.get_ident() in many) == (cores == 1)
    assert len(many) <= cores


def _counting(fail_at: int, error: type[BaseException]) -> tuple[list[int], Callable[[int], int]]:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == fail_at:
            raise error(str(item))
        time.sleep(0.002)
        return item

    return begun, work


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_comes_through_and_drops_what_is_pending(error: type[BaseException]) -> None:
    begun, work = _counting(3, error)
    results: list[int] = []
    with pytest.raises(error, match="3"):
        results.extend(map_in_order(work, ITEMS, parallel=True))
    assert len(begun) < len(ITEMS)


@pytest.mark.usefixtures("several")
def test_what_came_before_the_exception_was_given() -> None:
    _, work = _counting(3, ValueError)
    found = []
    with pytest.raises(ValueError, match="3"):
        for result in map_in_order(work, ITEMS, parallel=True):
            found.append(result)  # noqa: PERF402  the exception comes in between
    assert found == [0, 1, 2]


@pytest.mark.usefixtures("several")
def test_an_interrupt_of_the_consumer_drops_what_is_pending() -> None:
    begun, work = _counting(-1, ValueError)

    def consume() -> None:
        for result in map_in_order(work, ITEMS, parallel=True):
            if result == 1:
                raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        consume()
    stopped_at = len(begun)
    assert stopped_at < len(ITEMS)
    time.sleep(0.02)
    assert len(begun) <= stopped_at + 2
    assert threading.active_count() <= before + 2


@pytest.mark.usefixtures("several")
def test_blas_has_one_thread_while_there_are_several_of_ours() -> None:
    from threadpoolctl import threadpool_info

    def blas_threads(_: int) -> int:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return max(int(pool["num_threads"]) for pool in pools)

    before = blas_threads(0)
    assert set(map_in_order(blas_threads, ITEMS, parallel=True)) == {1}
    assert blas_threads(0) == before


def test_the_cores_are_counted_and_bounded() -> None:
    assert available_cores() >= 1
    assert MOST_WORKERS >= 2
