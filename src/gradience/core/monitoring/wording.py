"""How messages write ratios."""

MANY = 1000.0
"""Ratios from here on are written without decimals …"""

COUNTLESS = 1e6
"""… and from here on as powers of ten."""


def multiple(ratio: float, digits: int = 3) -> str:
    """A ratio as so many times something else: ``2.5 x``, ``1133 x``, ``1.2e+09 x``.

    Args:
        ratio: The ratio.
        digits: Significant ones, of a ratio below :data:`MANY`.
    """
    if ratio < MANY:
        return f"{ratio:.{digits}g} x"
    return f"{ratio:.0f} x" if ratio < COUNTLESS else f"{ratio:.2g} x"
