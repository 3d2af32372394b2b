"""Which nodes can ever hear from each other again."""

from __future__ import annotations

from typing import Any

import pytest

from sim.network.links import Links
from sim.network.schema import Network

SPLIT = {"start": 5, "apart": [{"a": 2}]}


def parts(now: float, gone: set[int], n: int = 6, **network: Any) -> list[list[int]]:
    links = Links(Network.model_validate(network), [""] * n, {"a": range(n)}, 1)
    return sorted(links.parts(now, gone))


@pytest.mark.parametrize(
    ("network", "now", "gone", "expected"),
    [
        ({}, 0, set(), [[0, 1, 2, 3, 4, 5]]),
        ({}, 0, {1, 4}, [[0, 2, 3, 5]]),
        ({"partitions": [SPLIT]}, 4, set(), [[0, 1, 2, 3, 4, 5]]),
        ({"partitions": [SPLIT]}, 5, {3}, [[0, 1], [2, 4, 5]]),
        ({"partitions": [SPLIT | {"end": 9}]}, 6, set(), [[0, 1, 2, 3, 4, 5]]),
        ({"partitions": [SPLIT, {"start": 0, "apart": [{"a": [0, 5]}]}]}, 5, set(), [[0], [1], [2, 3, 4], [5]]),
        ({"topology": {"kind": "ring"}}, 0, set(), [[0, 1, 2, 3, 4, 5]]),
        ({"topology": {"kind": "ring"}}, 0, {1, 3}, [[0, 4, 5], [2]]),
        ({"topology": {"kind": "ring"}, "partitions": [SPLIT]}, 5, {3}, [[0, 1], [2], [4, 5]]),
    ],
)
def test_parts(network: dict[str, Any], now: float, gone: set[int], expected: list[list[int]]) -> None:
    assert parts(now, gone, **network) == expected
