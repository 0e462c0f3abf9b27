"""Reading settings, and cutting rows into runs."""

import pytest

from gradience.core.quantisation.stored import lower_text, row_blocks, whole_number


@pytest.mark.parametrize(("shape", "multiple"), [((7, 3), 1), ((5000, 1000), 32), ((0, 4), 1)])
def test_runs_cover_every_row_once(shape: tuple[int, int], multiple: int) -> None:
    runs = list(row_blocks(shape, multiple))
    assert [row for run in runs for row in run] == list(range(shape[0]))
    assert all(run.start % multiple == 0 for run in runs)
    assert all(len(run) * shape[1] <= 2**20 for run in runs)


def test_a_row_too_wide_is_a_run_of_its_own() -> None:
    assert [len(run) for run in row_blocks((3, 2**21))] == [1, 1, 1]


def test_settings_of_another_kind_are_absent() -> None:
    config = {"bits": True, "group_size": "128", "size": 3, "format": 4, "version": "GEMM"}
    assert [whole_number(config, key) for key in (*config, "none")] == [
        None,
        None,
        3,
        4,
        None,
        None,
    ]
    assert lower_text(config, "format", "version") == "gemm"
    assert lower_text(config, "format") is None
