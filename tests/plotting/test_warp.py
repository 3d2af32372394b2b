"""A time axis with cuts: order is kept, ordinary stretches keep their length, long quiet ones lose it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.plotting.warp import Warp

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


@given(times=TIMES, busy=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e3)), max_size=5))
def test_times_keep_their_order(times: list[float], busy: list[tuple[float, float]]) -> None:
    warp = Warp(times, [(start, start + length) for start, length in busy])
    places = [warp.x(time) for time in sorted(times)]
    assert all(one <= other + 1e-9 * warp.width for one, other in pairwise(places))
    assert warp.x(min(times)) == 0
    assert warp.width == pytest.approx(warp.x(max(times)))


def test_a_quiet_stretch_is_cut_and_a_busy_one_is_not() -> None:
    quiet = Warp([0, 1, 2, 100, 101], [])
    assert [(cut.start, cut.end) for cut in quiet.cuts] == [(2, 100)]
    assert quiet.x(2) - quiet.x(1) == pytest.approx(1)
    assert quiet.x(101) - quiet.x(100) == pytest.approx(1)
    assert quiet.width < 4
    assert not Warp([0, 1, 2, 100, 101], [(0.5, 100.5)]).cuts


def test_ticks_are_round_and_where_their_times_are() -> None:
    warp = Warp([3, 3.1, 3.2, 3.33, 50.05, 50.2], [])
    ticks = warp.ticks()
    assert [time for _, time in ticks][:3] == pytest.approx([0, 0.1, 0.2])
    for place, time in ticks:
        assert warp.x(3 + time) == pytest.approx(place)
        assert not any(cut.left < place < cut.right for cut in warp.cuts)
    assert Warp([5.0], []).ticks() == [(0.0, 0.0)]
