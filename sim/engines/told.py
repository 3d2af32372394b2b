"""Estimates in words, for tables of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.engines.result import Estimate, Mean


def one_in(failure: Estimate) -> str:
    """Say how many blocks there are to one that fails.

    Examples
    --------
    >>> from sim.engines.result import Estimate
    >>> one_in(Estimate.exact(9.734e-5)), one_in(Estimate.of(0, 10_000)), one_in(Estimate.exact(0.75))
    ('one block in 10,273', 'none seen: fewer than one block in 2,711', '75 % of the blocks')
    """
    if failure.probability > 0.5:
        return f"{100 * failure.probability:.4g} % of the blocks"
    if failure.probability > 0:
        return f"one block in {_count(1 / failure.probability)}"
    if failure.count is None:
        return "no block"
    return f"none seen: fewer than one block in {_count(1 / failure.high)}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if 10 <= number < 1e9 else f"{number:.3g}"


def interval(found: Estimate | Mean, *, exact: bool) -> str:
    """Tell the 95 % interval of what was simulated.

    Examples
    --------
    >>> from sim.engines.result import Estimate
    >>> interval(Estimate.exact(0.5), exact=True), interval(Estimate.of(50, 100), exact=False)
    ('exact', '0.398 to 0.602')
    """
    return "exact" if exact else f"{found.low:.3g} to {found.high:.3g}"
