"""References within a file are resolved; those that lead out of it, or nowhere, are not."""

import pytest

from gradience.core.config.interpolation import interpolated


@pytest.mark.parametrize(
    ("raw", "key", "value"),
    [
        ({"a": 2, "b": "${a}"}, "b", 2),
        ({"a": "${b}", "b": "${c}", "c": 3}, "a", 3),
        ({"a": {"x": 1e-4}, "b": "${a.x}"}, "b", 1e-4),
        ({"a": "out", "b": "${a}/logs"}, "b", "out/logs"),
        ({"a": 1, "b": "${ a }-${a}"}, "b", "1-1"),
        ({"a": [1, 2], "b": "${a}"}, "b", [1, 2]),
        ({"a": "q", "b": ["${a}", "v"]}, "b", ["q", "v"]),
        ({"lr": 1, "o": {"lr": "${lr}"}}, "o", {"lr": 1}),
        ({"m": {"x": "${y}"}, "y": 5, "n": "${m}"}, "n", {"x": 5}),
    ],
)
def test_a_reference_takes_the_others_value(
    raw: dict[str, object], key: str, value: object
) -> None:
    assert interpolated(raw)[key] == value


@pytest.mark.parametrize(
    "raw",
    [
        {"a": "${nowhere}"},
        {"a": "${oc.env:HOME}"},
        {"a": "${a}"},
        {"a": "${b}", "b": "${a}"},
        {"a": "${b}/x", "b": "${a}/y"},
        {"a": "${b}/x", "b": [1]},
        {"a": "${b.c.d}", "b": {"c": 1}},
    ],
)
def test_what_leads_nowhere_stays(raw: dict[str, object]) -> None:
    found = interpolated(raw)["a"]
    assert isinstance(found, str)
    assert "${" in found


@pytest.mark.parametrize("seed", ["x", "x" * 100])
def test_growing_texts_stop_growing(seed: str) -> None:
    raw: dict[str, object] = {"k0": seed}
    raw |= {f"k{n}": f"${{k{n - 1}}}${{k{n - 1}}}" for n in range(1, 60)}
    found = interpolated({key: raw[key] for key in reversed(raw)})
    assert found["k2"] == seed * 4
    assert all(len(str(value)) < 10_000 for value in found.values())


def test_a_long_chain_is_followed_to_an_end_or_left() -> None:
    raw: dict[str, object] = {f"k{n}": f"${{k{n + 1}}}" for n in range(5000)}
    assert len(interpolated({**raw, "k5000": 7})) == 5001
    assert interpolated({"a": "${b}", "b": "${c}", "c": "${d}", "d": 7})["a"] == 7


def test_the_file_is_not_changed() -> None:
    raw: dict[str, object] = {"a": 1, "b": {"c": "${a}"}}
    interpolated(raw)
    assert raw == {"a": 1, "b": {"c": "${a}"}}
