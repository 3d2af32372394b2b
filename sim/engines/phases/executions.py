"""Executions of all nodes at once: every request takes a device for a while, first come, first served."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.network.keyed import Address
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sim.network.keyed import Uniforms
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]


class Executions:
    """How long blocks take to execute.

    Parameters
    ----------
    scenario
        Whose executors.
    uniforms
        Makes the source of their times, from its key.

    Attributes
    ----------
    works : array of bool
        Nodes that take time to execute.
    idle : array of float
        When each device of each node is free at first; infinite where a node has fewer.
    """

    def __init__(self, scenario: Scenario, uniforms: Callable[[int], Uniforms]) -> None:
        groups = [(nodes, scenario.nodes[name]) for name, nodes in scenario.numbering.items()]
        self._laws = [(nodes, group.executor) for nodes, group in groups if group.executor.seconds_per_request]
        self._requests = range(scenario.workload.requests_per_block)
        self._draws = uniforms(named_key("execution", scenario.run.seed))
        self._drawn = any(self._constant(executor) is None for _, executor in self._laws)
        self.works = np.zeros(scenario.node_count, bool)
        self._seconds = np.zeros(scenario.node_count)
        self.idle = np.full((scenario.node_count, max(group.devices or 1 for _, group in groups)), math.inf)
        for nodes, group in groups:
            self.idle[nodes, : group.devices or 1] = 0
        for nodes, executor in self._laws:
            self.works[nodes] = True
            self._seconds[nodes] = (self._constant(executor) or 0.0) * executor.slowed

    @staticmethod
    def _constant(executor: object) -> float | None:
        constant: float | None = executor.seconds_per_request.constant  # type: ignore[attr-defined]
        return constant

    def done(self, height: int, start: Floats, devices: Floats) -> Floats:
        """When each node has executed a block.

        Parameters
        ----------
        height
            Which block.
        start
            When each node wants to begin, infinite where it does not; shape (n,).
        devices
            When each device is free; changed.

        Returns
        -------
        Floats
            Shape (n,).
        """
        finished = start.copy()
        who = np.flatnonzero(self.works & np.isfinite(start))
        if not len(who):
            return finished
        for request in self._requests:
            device = devices[who].argmin(axis=1)
            end = np.maximum(start[who], devices[who, device]) + self._taken(height, request)[who]
            devices[who, device] = end
            finished[who] = np.maximum(finished[who], end)
        return finished

    def after(self, asked: Sequence[Sequence[tuple[float, int]]], devices: Floats) -> Floats:
        """When devices are free after executions that nodes have asked for one after another.

        Parameters
        ----------
        asked
            When, and of which block, for each node.
        devices
            When each device is free before.

        Returns
        -------
        Floats
            Of the shape of `devices`.
        """
        taken: dict[tuple[int, int], Floats] = {}
        free = devices.copy()
        for node, executions in enumerate(asked):
            for moment, height in executions:
                for request in self._requests:
                    if (height, request) not in taken:
                        taken[height, request] = self._taken(height, request).copy()
                    device = free[node].argmin()
                    free[node, device] = max(moment, free[node, device]) + taken[height, request][node]
        return free

    def _taken(self, height: int, request: int) -> Floats:
        if not self._drawn:
            return self._seconds
        seconds, uniforms = self._seconds.copy(), self._draws.row(Address(height, request, 0), 0)
        for nodes, executor in self._laws:
            if self._constant(executor) is None and executor.seconds_per_request is not None:
                seconds[nodes] = executor.seconds_per_request.quantile(uniforms[nodes]) * executor.slowed
        return seconds
