"""Replayed recordings: what the exact law says is what dealing runs in every possible way gives."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
import pytest

from sim.engines.select import run
from sim.inference.difficulty.empirical import Empirical
from sim.inference.executors import Gpu
from sim.inference.population import HonestGroup, Population
from sim.inference.sampler import PartitionSampler
from sim.scenario.schema import Scenario

POOL = [[3, [[7], [2], [1]]], [2, [[6], [4]]], [5, [[10]]]]
BY_CLASS = [[2, [[3, 1], [1, 3], [0, 1]]], [3, [[4, 5]]], [1, [[2, 2], [2, 3]]]]


def brute(tables: list[Any], machines: list[tuple[int, int]]) -> dict[tuple[int, ...], float]:
    """Law of the composition of the largest group, by listing all ways to deal runs; units are (column, count)."""
    one: defaultdict[tuple[tuple[int, ...], ...], float] = defaultdict(float)  # answers of all machines
    total = sum(number for number, _ in tables)
    for number, groups in tables:
        pools = [[g for g, sizes in enumerate(groups) for _ in range(sizes[c])] for c in range(len(groups[0]))]
        dealt = [list(combinations(range(len(pools[column])), count)) for column, count in machines]
        ways = prod(map(len, dealt))
        for chosen in product(*dealt):
            answers = tuple(tuple(pools[c][i] for i in some) for (c, _), some in zip(machines, chosen, strict=True))
            one[answers] += number / total / ways
    law: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for answers, chance in one.items():
        law[_largest(answers)] += chance
    return law


def _largest(answers: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    by = Counter(answer for unit in answers for answer in unit)
    best = by.most_common(1)[0][0]
    return tuple(unit.count(best) for unit in answers)


def scenario(tables: list[Any], columns: list[str], nodes: dict[str, Any], **more: Any) -> Scenario:
    law = {"difficulty": "empirical", "columns": columns, "tables": tables}
    groups = {name: group | {"executor": {"kind": "gpu", "nondeterminism": law}} for name, group in nodes.items()}
    return Scenario.model_validate({"nodes": groups, **more})


def test_the_rate_is_what_is_outside_the_largest_group() -> None:
    law = Empirical.model_validate({"columns": [""], "tables": POOL})
    assert law.rate == pytest.approx((3 * 0.3 + 2 * 0.4) / 10)


def test_exact_agrees_with_every_way_to_deal() -> None:
    law = brute(POOL, [(0, 7)])
    for quorum in (4, 5, 6, 7):
        made = scenario(POOL, [""], {"g": {"count": 7}}, consensus={"quorum": quorum})
        expected = sum(chance for composition, chance in law.items() if sum(composition) >= quorum)
        result = run(made, engine="exact")
        assert result.outcomes["agreed"].probability == pytest.approx(expected, rel=1e-12)


def test_hardware_classes_draw_their_own_runs() -> None:
    law = brute(BY_CLASS, [(0, 3), (1, 4)])
    nodes = {"a": {"count": 3, "hardware": "x"}, "b": {"count": 4, "hardware": "y"}}
    result = run(scenario(BY_CLASS, ["x", "y"], nodes, consensus={"quorum": 5}), engine="exact")
    expected = sum(chance for composition, chance in law.items() if sum(composition) >= 5)
    assert result.outcomes["agreed"].probability == pytest.approx(expected, rel=1e-12)


def test_groups_of_one_pool_never_share_a_run() -> None:
    """Two groups that draw from one pool are one group."""
    one = run(scenario(POOL, [""], {"g": {"count": 7}}), engine="exact")
    two = run(scenario(POOL, [""], {"g": {"count": 3}, "h": {"count": 4, "power": 1}}), engine="exact")
    assert two.block_failure.probability == pytest.approx(one.block_failure.probability, rel=1e-12)
    weighted = scenario(POOL, [""], {"g": {"count": 3}, "h": {"count": 4, "power": 2}}, run={"blocks": 50_000})
    exact, drawn = run(weighted, engine="exact"), run(weighted, engine="montecarlo")
    assert drawn.block_failure.low <= exact.block_failure.probability <= drawn.block_failure.high


@pytest.mark.parametrize(
    ("tables", "columns", "nodes", "more"),
    [
        (POOL, [""], {"g": {"count": 9}}, {"workload": {"requests_per_block": 3}}),
        (POOL, [""], {"g": {"count": 7}}, {"consensus": {"result": "propose"}}),
        (POOL, [""], {"g": {"count": 7}}, {"consensus": {"result": "endorse"}, "workload": {"requests_per_block": 4}}),
        (POOL, [""], {"g": {"count": 10}}, {"faults": {"byzantine": 2, "behaviour": "collude"}}),
        (
            BY_CLASS,
            ["x", "y"],
            {"a": {"count": 3, "hardware": "x"}, "b": {"count": 4, "hardware": "y"}},
            {"workload": {"requests_per_block": 2}},
        ),
    ],
)
def test_engines_agree(tables: list[Any], columns: list[str], nodes: dict[str, Any], more: dict[str, Any]) -> None:
    made = scenario(tables, columns, nodes, run={"blocks": 60_000}, **more)
    exact, drawn = run(made, engine="exact"), run(made, engine="montecarlo")
    for name, estimate in drawn.outcomes.items():
        spread = 1.6 * (estimate.high - estimate.low) / 2  # 99.8 %
        assert abs(exact.outcomes[name].probability - estimate.probability) <= spread + 1e-12, name
    assert exact.diverged_per_block.mean == pytest.approx(drawn.diverged_per_block.mean, abs=0.03)


def test_messages_meet_the_same_answers() -> None:
    made = scenario(POOL, [""], {"g": {"count": 7}}, run={"blocks": 1_500})
    exact, drawn = run(made, engine="exact"), run(made, engine="events")
    assert drawn.block_failure.low <= exact.block_failure.probability <= drawn.block_failure.high


def test_tokens_are_drawn_one_by_one() -> None:
    law = {"difficulty": "empirical", "columns": [""], "tables": POOL, "per": "token"}
    group = {"count": 8, "executor": {"kind": "gpu", "nondeterminism": law}}
    made = Scenario.model_validate({"nodes": {"g": group}, "workload": {"tokens": 4}, "run": {"blocks": 60_000}})
    exact, drawn = run(made, engine="exact"), run(made, engine="montecarlo")
    assert drawn.block_failure.low <= exact.block_failure.probability <= drawn.block_failure.high


def test_draws_deal_every_run_once() -> None:
    law = Empirical.model_validate({"columns": [""], "tables": [[1, [[5], [3], [2]]]]})
    population = Population.of([HonestGroup(10, 1, "x", Gpu(nondeterminism=law))])
    groups = PartitionSampler(population, 1, 1, 1).draw(np.random.default_rng(1), 200)
    for block in range(200):
        assert sorted(groups.machines[groups.block == block].ravel().tolist()) == [2, 3, 5]
