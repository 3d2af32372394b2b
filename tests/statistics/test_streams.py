"""Streams: the same bits for the same cell, others for another."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare, hypergeom

from sim.statistics.streams import CONTENTS, POSITIONS, cell_stream, first_among, stream_key


def test_the_key_is_the_contract_s() -> None:
    digest = hashlib.sha256(b"abc:7").digest()
    assert stream_key("abc", 7) == int.from_bytes(digest[:16], "big")


def test_a_cell_is_a_counter_in_the_top_bits() -> None:
    counter = cell_stream(5, 3).bit_generator.state["state"]["counter"]
    assert counter.tolist() == [0, 0, 0, 3]


def test_every_cell_stream_and_key_has_bits_of_its_own_and_always_the_same() -> None:
    seen = set()
    for key in (1, 2):
        for cell in (0, 1, 2**40):
            for stream in (CONTENTS, POSITIONS):
                first, again = (cell_stream(key, cell, stream).integers(0, 2**63, 4).tobytes() for _ in range(2))
                assert first == again
                seen.add(first)
    assert len(seen) == 12


@pytest.mark.parametrize(("special", "trials"), [(0, 9), (9, 9), (3, 10), (40, 1000), (1, 2)])
def test_shorter_runs_are_prefixes_of_longer_ones(special: int, trials: int) -> None:
    for key in range(20):
        found = [first_among(key, 4, special, trials, first) for first in range(trials + 1)]
        assert found[0] == 0
        assert found[-1] == special
        assert all(0 <= after - before <= 1 for before, after in pairwise(found))


def test_the_share_of_a_prefix_is_hypergeometric() -> None:
    special, trials, first, rounds = 4, 11, 5, 6_000
    seen = Counter(first_among(key, 0, special, trials, first) for key in range(rounds))
    law = hypergeom(trials, special, first).pmf(np.arange(5)) * rounds
    assert chisquare([seen[k] for k in range(5)], law).pvalue > 1e-3
