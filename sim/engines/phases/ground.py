"""What every chain that is worked out by whole phases stands on: who votes, what is drawn, how long things take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.setting import Setting
from sim.consensus.timeouts import Timeouts
from sim.engines.events.draws import Leaders, answers_of, powers
from sim.engines.events.world import CHECKPOINT_INTERVAL
from sim.engines.phases.executions import Executions
from sim.engines.phases.wire import Quorum, Wire
from sim.network.keyed import KeyedUniforms, Uniforms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.consensus.protocols.machine import Machine
    from sim.scenario.schema import Scenario

    Bools = NDArray[np.bool_]


class Ground:
    """Nodes, their answers and leaders, links and devices.

    Parameters
    ----------
    scenario
        One that the engine can answer.
    uniforms
        Makes the source of what is drawn, from its key; None: it is keyed, as for messages.
    """

    def __init__(self, scenario: Scenario, uniforms: Callable[[int], Uniforms] | None = None) -> None:
        consensus = scenario.consensus
        self._protocol: type[Machine] = PROTOCOLS.load(consensus.protocol)
        self.scenario, self.power = scenario, powers(scenario)
        self.n, self.quorum = len(self.power), scenario.election.quorum
        self.proposes = consensus.result == "propose"
        self.timeouts = consensus.timeouts or Timeouts()
        faults = scenario.faults_tolerated
        self._interval = consensus.checkpoint_interval or CHECKPOINT_INTERVAL
        self._setting = Setting(
            0,
            self.power,
            self.quorum,
            faults,
            self.proposes,
            scenario.rounds,
            self.timeouts,
            self._interval,
            watched=False,
        )
        self._kinds = self._protocol(self._setting).messages
        make = uniforms or (lambda key: KeyedUniforms(key, self.n))
        self.wire, self._executions = Wire(scenario, self._kinds, make), Executions(scenario, make)
        self.leaders = Leaders(self.power, scenario.run.seed, scenario.rounds)
        self.answers = answers_of(scenario)
        self._weights = np.array(self.power)
        self._honest: Bools = np.zeros(self.n, bool)
        for name, nodes in scenario.numbering.items():
            self._honest[nodes[: len(nodes) - scenario.faults.of(name)]] = True
        enough = min(faults + 1, int(self._weights[self._honest].sum()))
        self._quorum_of, self._enough = Quorum(self.power, self.quorum), Quorum(self.power, enough)
        self._more = Quorum(self.power, faults + 1)
