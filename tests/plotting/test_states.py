"""State diagrams show every phase and every event."""

from __future__ import annotations

import pytest

from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.transitions import Transition
from sim.plotting.states import state_diagram


@pytest.mark.parametrize("name", ["pbft", "tendermint", "hotstuff", "icc"])
def test_every_phase_and_every_event_is_in_the_picture(name: str) -> None:
    transitions = PROTOCOLS.load(name).transitions
    axes = state_diagram(name, transitions)
    texts = [text.get_text() for text in axes.texts]
    for arrow in transitions:
        assert {arrow.source, arrow.target} <= set(texts)
        assert any(arrow.event in text for text in texts)


def test_phases_stand_apart_and_in_the_order_of_the_steps() -> None:
    chain = [Transition("a", "x", "b"), Transition("b", "y", "c"), Transition("a", "z", "d")]
    axes = state_diagram("chain", chain)
    place = {text.get_text(): text.get_position() for text in axes.texts}
    assert place["a"][0] < place["b"][0] < place["c"][0]
    assert place["b"][0] == place["d"][0]
    assert place["b"] != place["d"]
