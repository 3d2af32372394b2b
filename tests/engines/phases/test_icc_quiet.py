"""When timers of ICC have an effect, read off the times of a height."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sim.engines.phases.icc_height import Height
from sim.engines.phases.icc_quiet import odd_turns

PLAIN = {"begun": 0.0, "ranked": 0.0, "turned": 0.3, "arrived": 0.05, "shared": 0.0, "finished": 0.4}


def height(executed: float = -math.inf, *, backs: bool = True, **times: float) -> Height:
    """Three nodes: the maker of rank 0 as in the plain course, that of rank 1 as given, and another."""
    everybody = np.ones(3, bool)
    at = Height(
        7, [0, 1, 2], everybody.copy(), everybody, 0, None, np.zeros((3, 1)), np.empty(3), np.full(3, -math.inf)
    )
    at.backs[1], at.executed[1] = backs, executed
    for name, usual in PLAIN.items():
        setattr(at, name, np.array([usual, times.get(name, usual), usual]))
    return at


@pytest.mark.parametrize(
    ("at", "odd"),
    [
        (height(), math.inf),
        (height(shared=0.5, ranked=0.6, turned=0.9, finished=0.5), 0.2),  # it asks for the beacon
        (height(finished=0.51), 0.5),  # rank 1 has its turn
        (height(arrived=0.25), 0.2),  # the maker of rank 1 has no block
        (height(arrived=0.19), math.inf),
        (height(backs=False), 0.2),  # it has none that is valid for it
        (height(executed=0.3, backs=False), 0.3),  # it knows that only now
        (height(executed=0.45, backs=False), math.inf),  # it has gone on
    ],
)
def test_the_first_turn_that_is_not_plain(at: Any, odd: float) -> None:
    assert odd_turns(at, 0.2) == pytest.approx(odd)
