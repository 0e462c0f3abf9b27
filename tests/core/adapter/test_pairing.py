"""The two factors of every module meet, and no factor is lost."""

from gradience.core.adapter.pairing import A_SIDE, B_SIDE, Factor, pair_factors
from gradience.core.adapter.tensors import TensorInfo


def _factor(module: str, side: str, name: str = "") -> Factor:
    return Factor(module, side, TensorInfo(name or f"{module}.{side}", (2, 2), "F32"))


def test_factors_meet_in_the_order_of_their_first() -> None:
    x, y = (A_SIDE, B_SIDE), (B_SIDE, A_SIDE)
    factors = [_factor("x", x[0]), _factor("y", y[0]), _factor("y", y[1]), _factor("x", x[1])]
    found = pair_factors(factors)
    assert list(found.complete) == ["x", "y"]
    assert [tensor.name for tensor in found.complete["y"]] == ["y.A", "y.B"]
    assert found.incomplete == ()


def test_a_factor_alone_is_incomplete() -> None:
    found = pair_factors([_factor("x", A_SIDE)])
    assert found.complete == {}
    assert [tensor.name for tensor in found.incomplete] == ["x.A"]


def test_a_side_given_twice_is_not_lost() -> None:
    factors = [_factor("x", A_SIDE), _factor("x", B_SIDE), _factor("x", A_SIDE, "again")]
    found = pair_factors(factors)
    assert found.complete["x"][0].name == "x.A"
    assert [tensor.name for tensor in found.incomplete] == ["again"]
