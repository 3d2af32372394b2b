"""A cell's random numbers depend on the task and the cell, and on nothing else."""

from __future__ import annotations

import hashlib
import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, hypergeom

from sim.statistics.streams import CONTENTS, POSITIONS, cell_stream, first_among, stream_key

KEY = stream_key("ab" * 32, 1)
PINNED = (0xA04CA2D80496EE74, 0x106DD051479C9B94, 0x362CA3B84D203B4)
CELLS = st.integers(0, 2**64 - 1)


def bits(cell: int, stream: int = CONTENTS, branch: int = 0, key: int = KEY, number: int = 8) -> tuple[int, ...]:
    return tuple(int(word) for word in cell_stream(key, cell, stream, branch).bit_generator.random_raw(number))


def test_the_key_is_the_first_128_bits_of_a_hash_over_scenario_and_seed() -> None:
    digest = hashlib.sha256(b"abc:7").hexdigest()
    assert stream_key("abc", 7) == int(digest[:32], 16)


def test_the_key_tells_scenarios_and_seeds_apart() -> None:
    keys = {stream_key(name, seed) for name in ("a", "b", "a1") for seed in (0, 1, 11, 2**63 - 1)}
    assert len(keys) == 12


def test_the_bits_of_a_cell_never_change() -> None:
    """A change here breaks the promise that a scenario and a seed give the same numbers to the last bit."""
    assert bits(5, number=3) == PINNED


@given(CELLS, st.sampled_from([CONTENTS, POSITIONS]), st.integers(0, 2**64 - 1))
def test_a_cell_gives_the_same_bits_again(cell: int, stream: int, branch: int) -> None:
    assert bits(cell, stream, branch) == bits(cell, stream, branch)


@given(st.lists(st.tuples(CELLS, st.sampled_from([0, 1]), st.integers(0, 2**64 - 1)), min_size=2, unique=True))
def test_no_two_cells_streams_or_branches_share_their_bits(places: list[tuple[int, int, int]]) -> None:
    words = [word for place in places for word in bits(*place)]
    assert len(set(words)) == len(words)


def test_drawing_much_from_a_cell_does_not_reach_into_the_next() -> None:
    stream = cell_stream(KEY, 3)
    stream.random(1_000)
    counter = stream.bit_generator.state["state"]["counter"]
    assert [int(word) for word in counter[1:]] == [0, CONTENTS, 3]


def test_uniforms_of_neighbouring_cells_are_uncorrelated() -> None:
    draws = np.array([cell_stream(KEY, cell).random(2_000) for cell in range(60)])
    correlation = np.corrcoef(draws)[~np.eye(60, dtype=bool)]
    assert np.abs(correlation).max() < 5.5 / np.sqrt(2_000)
    assert draws.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * draws.size))


SPECIALS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(st.integers(0, 2**128 - 1), CELLS, SPECIALS)
def test_each_trial_is_special_or_not_and_the_total_is_what_was_drawn(
    key: int, cell: int, pair: tuple[int, int]
) -> None:
    trials, special = pair
    found = [first_among(key, cell, special, trials, first) for first in range(trials + 1)]
    assert (found[0], found[-1]) == (0, special)
    assert set(np.diff(found)) <= {0, 1}


@given(st.integers(0, 2**128 - 1), st.integers(1, 10**9 - 1), st.data())
def test_large_cells_keep_the_bounds(key: int, trials: int, data: st.DataObject) -> None:
    special = data.draw(st.integers(0, trials))
    first = data.draw(st.integers(0, trials))
    found = first_among(key, 0, special, trials, first)
    assert max(0, special - (trials - first)) <= found <= min(special, first)
    assert found == first_among(key, 0, special, trials, first)
    if first < trials:
        assert first_among(key, 0, special, trials, first + 1) - found in {0, 1}


@pytest.mark.parametrize(("special", "trials", "first"), [(5, 12, 4), (3, 13, 6), (1, 7, 3), (9, 10, 5)])
def test_the_number_among_the_first_is_hypergeometric(special: int, trials: int, first: int) -> None:
    runs = 4_000
    found = np.array([first_among(key, 0, special, trials, first) for key in range(runs)])
    expected = runs * hypergeom(trials, special, first).pmf(np.arange(special + 1))
    seen = np.bincount(found, minlength=special + 1)
    possible = expected > 1e-9
    assert not seen[~possible].any()
    common = expected >= 5
    pooled_seen = np.append(seen[common], seen[~common].sum())
    pooled = np.append(expected[common], max(expected[~common].sum(), 1e-9))
    statistic = ((pooled_seen - pooled) ** 2 / pooled).sum()
    assert statistic < chi2.ppf(1 - 1e-4, max(common.sum() - 1, 1) + 1)


def test_every_set_of_positions_is_equally_likely() -> None:
    runs, trials, special = 3_000, 6, 2
    sets = dict.fromkeys(itertools.combinations(range(trials), special), 0)
    for cell in range(runs):
        found = [first_among(KEY, cell, special, trials, first) for first in range(trials + 1)]
        sets[tuple(np.flatnonzero(np.diff(found)).tolist())] += 1
    expected = runs / comb(trials, special)
    statistic = sum((seen - expected) ** 2 / expected for seen in sets.values())
    assert statistic < chi2.ppf(1 - 1e-4, len(sets) - 1)
