"""What a fitted law predicts: how many groups of each size, and how often one is large enough.

The expected number of groups of j among N runs is that of the reference group, C(N, j) E[(1-p)^j p^(N-j)], and of the
tables of those that deviate. More than half of the runs are in one group at most, so the expected number of groups of
at least q > N/2 is the probability that there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.inference.alternatives import expected_tables
from sim.inference.binomial import log_choose
from sim.inference.calibration.likelihood import Powers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sim.inference.calibration.laws import Law

    Floats = NDArray[np.float64]


def expected_groups(law: Law, values: Mapping[str, Floats], runs: int) -> Floats:
    """Expected number of groups of each size.

    Parameters
    ----------
    law
        Which law.
    values
        Its parameters, shape (B,) each.
    runs
        Runs N of a decision point.

    Returns
    -------
    Floats
        Shape (B, N + 1), by size; a group is not empty, so that column 0 is 0.
    """
    names = law.parameters
    columns = [values[name] for name in names]
    free = np.array([law.free(**dict(zip(names, map(float, row), strict=True))) for row in zip(*columns, strict=True)])
    numbers = np.arange(runs + 1)
    deviate = np.exp(law.log_moments(free, Powers(numbers, np.full(runs + 1, runs))) + log_choose(runs))
    groups = deviate[:, ::-1].copy()  # the reference group has those that do not deviate
    groups[:, 0] = 0.0
    for row, alpha in enumerate(values["alternatives"].tolist()):
        tables = np.zeros((runs + 1, runs + 1))
        for number in range(1, runs + 1):
            tables[number, : number + 1] = expected_tables(number, alpha)
        groups[row] += deviate[row] @ tables
    return groups


def quorum_rates(groups: Floats, quorum: int) -> Floats:
    """Probability that a group has a quorum of more than half of the runs; shape (B,)."""
    rates: Floats = groups[:, quorum:].sum(axis=1)
    return np.minimum(rates, 1.0)
