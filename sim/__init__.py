"""splitquorum: how often do honest nodes disagree, and what does that do to the blocks.

The whole public API. Read a scenario, run it, look at the result::

    from sim import load_scenario, run

    result = run(load_scenario("scenarios/ninety_nine_ninety_nine.yaml"))
    print(result.block_failure.probability)

`load_scenario`     read and check a scenario file
`run`               answer a scenario with the cheapest engine that can
`sweep`             run every point of a scenario's sweep, and keep its results: `Rows` of `Row`; ends by `Stopping`
`plot`, `save`      draw rows as a matplotlib Axes, and write the picture
`Picture`           what `Result.plot()` and `Rows.plot()` give, shown by notebooks; both have `to_pandas`, `to_xarray`
`feasibility`       can these platforms run these models; `judge_scenario` asks a scenario
`compare`           scenarios side by side: failure, wrong results, time, cost
`prices`            what a matching rule accepts from attackers, against what it refuses of honest nodes
`calibrate`         from recordings of repeated runs to a difficulty model, with its uncertainty
`catalog_with`      the `Catalog` of platforms, models and hardware, with a file of your own
`Result`            outcome probabilities; made of `Estimate` and `Mean`, and of `Timing` where messages were simulated
`Scenario`          the schema; made of `NodeGroup`, `Consensus`, `Faults`, `Network`, `Workload`, `Run`
`Timeouts`, `Crash` parts of `Consensus` and `Faults`; `Recovery`: for how long a node is away that diverged
`Cpu`, `Gpu`, `Recorded`, `Numeric`  executors
`Independent`, `NearTie`, `Beta`, `ZeroInflated`, `Empirical`   difficulty models of a `Gpu`
`Replicate`, `Proof`, `Optimistic`, `SpotCheck`, `Tee`      how results are verified
`Exact`, `Equivalence`, `Semantic`                  matching rules: which answers count as the same
`Tolerance`, `Median`, `Approximate`, `Margin`      those for numbers, and for tokens that nearly tie
`SplitquorumError`  what a user can mend: `ScenarioError`, `EngineError`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sim.base.version import __version__ as __version__

if TYPE_CHECKING:
    from sim.analysis.calibration import calibrate
    from sim.analysis.claim import judge_scenario
    from sim.analysis.compare import compare
    from sim.analysis.feasibility import feasibility
    from sim.analysis.price import prices
    from sim.base.errors import EngineError, ScenarioError, SplitquorumError
    from sim.base.picture import Picture
    from sim.catalog.catalog import Catalog, catalog_with
    from sim.consensus.faults import Crash, Faults
    from sim.consensus.matching import Approximate, Equivalence, Exact, Margin, Median, Semantic, Tolerance
    from sim.consensus.recovery import Recovery
    from sim.consensus.rules import Consensus
    from sim.consensus.timeouts import Timeouts
    from sim.consensus.verification import Optimistic, Proof, Replicate, SpotCheck, Tee
    from sim.engines.result import Estimate, Mean, Result
    from sim.engines.select import run
    from sim.engines.timing import Timing
    from sim.inference.difficulty.beta import Beta
    from sim.inference.difficulty.empirical import Empirical
    from sim.inference.difficulty.independent import Independent
    from sim.inference.difficulty.near_tie import NearTie
    from sim.inference.difficulty.zero_inflated import ZeroInflated
    from sim.inference.executors import Cpu, Gpu, Recorded
    from sim.inference.numeric import Numeric
    from sim.network.schema import Network
    from sim.plotting import plot, save
    from sim.scenario.load import load_scenario
    from sim.scenario.schema import NodeGroup, Run, Scenario, Workload
    from sim.sweeps.row import Row
    from sim.sweeps.rows import Rows
    from sim.sweeps.stopping import Stopping
    from sim.sweeps.sweep import sweep

_WHERE = {
    "Approximate": "sim.consensus.matching",
    "Beta": "sim.inference.difficulty.beta",
    "Catalog": "sim.catalog.catalog",
    "Consensus": "sim.consensus.rules",
    "Cpu": "sim.inference.executors",
    "Crash": "sim.consensus.faults",
    "Empirical": "sim.inference.difficulty.empirical",
    "EngineError": "sim.base.errors",
    "Equivalence": "sim.consensus.matching",
    "Estimate": "sim.engines.result",
    "Exact": "sim.consensus.matching",
    "Faults": "sim.consensus.faults",
    "Gpu": "sim.inference.executors",
    "Independent": "sim.inference.difficulty.independent",
    "Margin": "sim.consensus.matching",
    "Mean": "sim.engines.result",
    "Median": "sim.consensus.matching",
    "NearTie": "sim.inference.difficulty.near_tie",
    "Network": "sim.network.schema",
    "NodeGroup": "sim.scenario.schema",
    "Numeric": "sim.inference.numeric",
    "Optimistic": "sim.consensus.verification",
    "Picture": "sim.base.picture",
    "Proof": "sim.consensus.verification",
    "Recorded": "sim.inference.executors",
    "Recovery": "sim.consensus.recovery",
    "Replicate": "sim.consensus.verification",
    "Result": "sim.engines.result",
    "Row": "sim.sweeps.row",
    "Rows": "sim.sweeps.rows",
    "Run": "sim.scenario.schema",
    "Scenario": "sim.scenario.schema",
    "ScenarioError": "sim.base.errors",
    "Semantic": "sim.consensus.matching",
    "SplitquorumError": "sim.base.errors",
    "SpotCheck": "sim.consensus.verification",
    "Stopping": "sim.sweeps.stopping",
    "Tee": "sim.consensus.verification",
    "Timeouts": "sim.consensus.timeouts",
    "Timing": "sim.engines.timing",
    "Tolerance": "sim.consensus.matching",
    "Workload": "sim.scenario.schema",
    "ZeroInflated": "sim.inference.difficulty.zero_inflated",
    "calibrate": "sim.analysis.calibration",
    "catalog_with": "sim.catalog.catalog",
    "compare": "sim.analysis.compare",
    "feasibility": "sim.analysis.feasibility",
    "judge_scenario": "sim.analysis.claim",
    "load_scenario": "sim.scenario.load",
    "plot": "sim.plotting",
    "prices": "sim.analysis.price",
    "run": "sim.engines.select",
    "save": "sim.plotting",
    "sweep": "sim.sweeps.sweep",
}

__all__ = [
    "Approximate",
    "Beta",
    "Catalog",
    "Consensus",
    "Cpu",
    "Crash",
    "Empirical",
    "EngineError",
    "Equivalence",
    "Estimate",
    "Exact",
    "Faults",
    "Gpu",
    "Independent",
    "Margin",
    "Mean",
    "Median",
    "NearTie",
    "Network",
    "NodeGroup",
    "Numeric",
    "Optimistic",
    "Picture",
    "Proof",
    "Recorded",
    "Recovery",
    "Replicate",
    "Result",
    "Row",
    "Rows",
    "Run",
    "Scenario",
    "ScenarioError",
    "Semantic",
    "SplitquorumError",
    "SpotCheck",
    "Stopping",
    "Tee",
    "Timeouts",
    "Timing",
    "Tolerance",
    "Workload",
    "ZeroInflated",
    "calibrate",
    "catalog_with",
    "compare",
    "feasibility",
    "judge_scenario",
    "load_scenario",
    "plot",
    "prices",
    "run",
    "save",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `sim --help` needs none of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
