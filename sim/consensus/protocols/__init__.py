"""Consensus protocols as pure state machines, one replica each.

Messages, timer expiries and finished executions go in; effects come out (see `effects`). A machine has no clock, draws
no random numbers and sees no other node: whoever drives it brings the messages and carries out what it asks for. So the
same machine runs under the event engine, under a test that delivers messages in any order, and on paper.

What to use when: `pbft` where a stable leader orders blocks and a view change replaces it; `tendermint` where the
leader rotates and rounds lock values; `hotstuff` where many nodes need messages that grow as n, and can wait for
three-chains; `icc` where blocks are wanted though leaders fail.
"""

from sim.base.registry import Registry

PROTOCOLS = Registry(
    key="protocol",
    builtin={
        "pbft": "sim.consensus.protocols.pbft:Pbft",
        "tendermint": "sim.consensus.protocols.tendermint:Tendermint",
        "hotstuff": "sim.consensus.protocols.hotstuff:HotStuff",
        "icc": "sim.consensus.protocols.icc:Icc",
    },
    group="sim.protocols",
    default="pbft",
    base="sim.consensus.protocols.machine:Machine",
)
"""The protocols that can be run message by message."""
