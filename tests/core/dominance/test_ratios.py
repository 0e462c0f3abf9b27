"""UDR, its Frobenius form and SDI, by hand."""

import math

import pytest

from gradience.core.dominance.ratios import BaseNorms, update_ratio


def test_ratios_by_hand() -> None:
    found = update_ratio(2.0, 3.0, BaseNorms(sigma_max=8.0, fro=30.0))
    assert (found.udr, found.udr_f) == (0.25, 0.1)
    assert found.sdi == pytest.approx(math.log10(0.25), abs=1e-11)


def test_a_zero_update_has_a_finite_sdi() -> None:
    found = update_ratio(0.0, 0.0, BaseNorms(1.0, 1.0))
    assert (found.udr, found.udr_f) == (0.0, 0.0)
    assert found.sdi == pytest.approx(-12.0)


def test_a_zero_base_weight_gives_no_ratio() -> None:
    assert update_ratio(1.0, 1.0, BaseNorms(0.0, 0.0)) == (None, None, None)
