"""Protocols with several heights in flight that this engine knows, and what works out their heights."""

from __future__ import annotations

from sim.base.registry import Registry

FLOWS = Registry(
    key="protocol",
    builtin={"hotstuff": "sim.engines.phases.hotstuff:HotStuffFlow", "icc": "sim.engines.phases.icc:IccFlow"},
)
