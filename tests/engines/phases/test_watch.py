"""Which heights of a chain that runs message by message are untouched by what went wrong."""

from __future__ import annotations

import numpy as np

from sim.engines.phases.watch import Watch


def begun(watch: Watch, height: int, times: tuple[float, ...], *, plain: bool = True) -> None:
    for node, time in enumerate(times):
        watch.begins(node, height, time, plain=plain)


def test_a_height_that_begins_before_all_that_went_wrong_is_over_is_touched() -> None:
    watch = Watch(2, 3)
    begun(watch, 3, (3.0, 4.0))
    begun(watch, 4, (4.0, 5.0))
    assert not watch.touched(3)
    watch.goes_wrong(2, until=3.5)
    assert watch.touched(3)
    assert not watch.touched(4)
    watch.goes_wrong(1, until=4.0)
    assert watch.touched(4)


def test_what_is_said_of_a_height_at_which_something_went_wrong_must_have_arrived() -> None:
    watch = Watch(1, 3)
    begun(watch, 3, (3.0,))
    watch.arrives(2, 3.5)
    assert not watch.touched(3)
    watch.goes_wrong(2, until=2.0)
    assert watch.touched(3)
    begun(watch, 4, (4.0,))
    watch.arrives(3, 9.0)
    assert not watch.touched(4)
    watch.arrives(1, 4.5)
    assert watch.touched(4)


def test_the_height_itself_must_be_begun_in_the_plain_way_by_all_and_be_spared() -> None:
    watch = Watch(2, 3)
    assert not watch.touched(3)
    begun(watch, 4, (4.0, 5.0), plain=False)
    assert watch.touched(3)  # nobody will begin it any more
    assert watch.touched(4)
    begun(watch, 5, (6.0,))
    assert watch.begun(5).tolist() == [6.0, np.inf]
    assert not watch.touched(5)
    watch.goes_wrong(5, until=1.0)
    assert watch.touched(5)


def test_it_knows_what_is_under_way_below() -> None:
    watch = Watch(1, 1)
    watch.starts(2)
    watch.starts(2)
    watch.starts(4)
    assert watch.quiet_below(2)
    assert not watch.quiet_below(3)
    assert not watch.ends(2)
    assert watch.ends(2)
    assert watch.quiet_below(4)


def test_it_forgets_what_it_passes_over() -> None:
    watch = Watch(1, 3)
    begun(watch, 2, (1.0,))
    begun(watch, 3, (3.0,), plain=False)
    watch.pass_over()
    assert watch.lowest == 4
    assert np.isinf(watch.begun(2)).all()
    assert np.isinf(watch.begun(3)).all()
    assert not watch.touched(4)
