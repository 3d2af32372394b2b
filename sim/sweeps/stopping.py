"""When a simulated point has seen enough, and the interval that is honest under that rule.

All rules but time are decided on blocks in their order, so that the numbers do not depend on workers or interruptions:

- `max_blocks`: a fixed number of blocks, N. Plain Clopper-Pearson.
- `max_failures`: the r-th failing block, at index N. The number of failures is then fixed and N is random, so k/N is
  biased (by 11 % at r = 10); the estimate is (r-1)/(N-1), the interval [BetaInv(.025; r, N-r+1), BetaInv(.975; r, N-r)]
  (inverse binomial sampling: Haldane 1945; Lui 1995).
- `relative_error`: half width over estimate. Stopping when an interval looks narrow would spoil its coverage; but under
  inverse sampling the relative width depends on r alone (for rare failures, and less otherwise). So it is the rule
  `max_failures` with the smallest r that is narrow enough.

Whichever comes first ends the point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from sim.base.errors import Problem, ScenarioError

_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Stopping:
    """The rules that end a point.

    Parameters
    ----------
    max_blocks
        Blocks of a point; None: the scenario's `run.blocks`.
    max_failures
        Failing blocks, at least 2.
    relative_error
        Half width of the interval of block failure over its estimate, 0 to 1.
    max_time
        Seconds for the whole sweep; what it gives depends on the machine and cannot be reproduced.
    """

    max_blocks: int | None = None
    max_failures: int | None = None
    relative_error: float | None = None
    max_time: float | None = None

    @property
    def failures(self) -> int | None:
        """Number of failing blocks that ends a point; None if none does."""
        wanted = [self.max_failures] if self.max_failures else []
        if self.relative_error:
            wanted.append(failures_needed(self.relative_error))
        return min(wanted, default=None)

    def problems(self) -> list[Problem]:
        """What is wrong with the rules, as the flags are called."""
        found = []
        if self.max_failures is not None and self.max_failures < 2:
            found.append(Problem("", "must be at least 2", self.max_failures, "--max-failures"))
        if self.relative_error is not None and not 0.001 <= self.relative_error <= 1:
            found.append(Problem("", "must be from 0.001 to 1", self.relative_error, "--relative-error"))
        if self.max_time is not None and not 0 < self.max_time < math.inf:
            found.append(Problem("", "must be a number of seconds above 0", self.max_time, "--max-time"))
        return found

    def check(self) -> None:
        """Raise ScenarioError if a rule is out of range."""
        if found := self.problems():
            raise ScenarioError(found)


@lru_cache(maxsize=64)
def failures_needed(relative_error: float) -> int:
    """Smallest number of failures at which the interval of a rare failure is that narrow.

    With failures rare, N p is a gamma variable, so half width over estimate is
    (GammaInv(.975; r) - GammaInv(.025; r)) / (2 (r - 1)), about 1.96 / sqrt(r).

    Examples
    --------
    >>> failures_needed(0.1), failures_needed(0.5)
    (386, 18)
    """
    from scipy.special import gammaincinv

    def half_width(failures: int) -> float:
        return float(gammaincinv(failures, 1 - _TAIL) - gammaincinv(failures, _TAIL)) / (2 * (failures - 1))

    low, high = 1, 2
    while half_width(high) > relative_error:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half_width(middle) > relative_error else (low, middle)
    return high


def inverse_interval(failures: int, blocks: int) -> tuple[float, float, float]:
    """Estimate and 95 % interval of block failure where the last of `blocks` was the r-th failing one.

    Parameters
    ----------
    failures
        r, at least 2.
    blocks
        N, at least r.

    Returns
    -------
    tuple of float
        Unbiased estimate (r-1)/(N-1), low and high.
    """
    from scipy.special import betaincinv

    low = float(betaincinv(failures, blocks - failures + 1, _TAIL))
    high = float(betaincinv(failures, blocks - failures, 1 - _TAIL)) if blocks > failures else 1.0
    return (failures - 1) / (blocks - 1), low, high
