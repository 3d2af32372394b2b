"""Rule 3: a chain that claims GPUs either keeps them to one answer, or is not robust, or does not do what it says.

"My chain runs on GPUs" is one of three ("What makes AI on the blockchain hard"):

- *deterministic or approximate consensus*: something keeps its GPUs to one answer (an `arithmetic`), or consensus
  tolerates that they differ (a matching rule of numbers or margins), or one execution is verified, and blocks fail no
  more often than the bar;
- *not robust*: blocks fail more often than that;
- *not credible*: blocks hardly ever fail, but nothing in the scenario says why: GPUs with native kernels that never
  deviate, or deviate independently, or that hold no quorum; or a model that its machines cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.analysis.feasibility import size
from sim.consensus.matching import Margin, Within
from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee
from sim.engines.select import run
from sim.inference.difficulty.independent import Independent
from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from sim.catalog.catalog import Catalog
    from sim.engines.result import Estimate
    from sim.scenario.schema import NodeGroup, Scenario

BAR = 1e-6
"""Block failure up to which a chain counts as robust; the article calls one block in 10,000 dangerous."""
KEEPS_ONE_ANSWER = "deterministic or approximate consensus"
NOT_ROBUST = "not robust"
NOT_CREDIBLE = "not credible"
UNDECIDED = "unknown"
BLOCKS_MAX = 10_000_000
"""Blocks that are simulated at most to hold a block failure against the bar."""


class Credibility(NamedTuple):
    """Which of the three cases a chain is.

    Parameters
    ----------
    case
        `deterministic or approximate consensus`, `not robust` or `not credible`; `unknown` where too few blocks were
        simulated to tell.
    block_failure
        How often its blocks fail.
    why
        In a sentence.
    """

    case: str
    block_failure: float
    why: str


def credibility(scenario: Scenario, catalog: Catalog, bar: float = BAR) -> Credibility | None:
    """Tell which of rule 3's cases a scenario is.

    Parameters
    ----------
    scenario
        A validated scenario; it is run.
    catalog
        Tells which hardware labels are GPUs.
    bar
        Block failure up to which it counts as robust.

    Returns
    -------
    Credibility or None
        None where it claims no GPU.
    """
    claims = {name: group for name, group in scenario.nodes.items() if _claims_gpu(group, catalog)}
    if not claims:
        return None
    seen = _settled(scenario, bar)
    case, why = _case(scenario, claims, catalog, seen, bar)
    return Credibility(case, seen.probability, why)


def _case(
    scenario: Scenario, claims: dict[str, NodeGroup], catalog: Catalog, seen: Estimate, bar: float
) -> tuple[str, str]:
    """Which case it is, given how often blocks fail, and why."""
    often = f"blocks fail with probability {seen.probability:.3g}"
    if missing := next(_too_large(scenario, claims, catalog), None):
        return NOT_CREDIBLE, missing
    if seen.low > bar:
        return NOT_ROBUST, f"{often}, above the bar of {bar:g}"
    if seen.high > bar:
        return UNDECIDED, f"{often}, up to {seen.high:.2g}, which may be above the bar of {bar:g}: run more blocks"
    tolerant = isinstance(scenario.consensus.matching, Margin | Within)
    if not tolerant and (doubt := next(_doubts(scenario, claims), None)):
        return NOT_CREDIBLE, doubt
    return KEEPS_ONE_ANSWER, _what_keeps(scenario, claims)


def _what_keeps(scenario: Scenario, claims: dict[str, NodeGroup]) -> str:
    """Why its blocks hardly ever fail."""
    rule = scenario.consensus.matching
    if isinstance(rule, Margin | Within):
        return f"its consensus tolerates that GPUs differ (matching {rule.kind})"
    if not scenario.replicated and scenario.verification:
        return f"one execution is verified ({scenario.verification.kind}), so the others need not compute the same"
    kept = ", ".join(f"{name}: {_arithmetic(group)}" for name, group in claims.items())
    return f"its GPUs are kept to one answer ({kept})"


def _claims_gpu(group: NodeGroup, catalog: Catalog) -> bool:
    found = catalog.find("hardware", group.hardware)
    return isinstance(group.executor, Gpu) or (found is not None and catalog.hardware[found].kind == "gpu")


def _settled(scenario: Scenario, bar: float) -> Estimate:
    """How often blocks fail; simulated with ten times as many blocks until it is clear, up to `BLOCKS_MAX`."""
    result = run(scenario)
    while result.engine == "montecarlo" and result.blocks is not None and result.blocks < BLOCKS_MAX:
        if not result.block_failure.low <= bar < result.block_failure.high:
            break
        result = run(scenario, blocks=min(10 * result.blocks, BLOCKS_MAX))
    return result.block_failure


def _never_checks(scenario: Scenario) -> bool:
    """Whether a forged result always passes."""
    verification = scenario.verification
    if isinstance(verification, Optimistic | SpotCheck):
        return not verification.panel(scenario.node_count - 1).expected
    return isinstance(verification, Proof | Tee) and verification.forgery == 1


def _arithmetic(group: NodeGroup) -> str:
    """What keeps the GPUs of a group to one answer; native where nothing does."""
    executor = group.executor
    if not isinstance(executor, Gpu) or executor.residual == 1:
        return "native"
    return executor.arithmetic or "native"


def memory_of(scenario: Scenario, group: NodeGroup, catalog: Catalog) -> tuple[int | None, int | None]:
    """Bytes that the scenario's model needs on a machine of a group, and bytes that the machine has; None, not known.

    Each device of a node holds a copy. An arithmetic that needs more memory does so for weights of 16 bits and more;
    quantised ones stay as they are.
    """
    model = catalog.find("models", scenario.workload.model or "")
    label = catalog.find("hardware", group.hardware)
    memory = catalog.hardware[label].memory_bytes if label else None
    available = int(memory.value) if memory else None
    if model is None:
        return None, available
    entry = catalog.models[model]
    whole = entry.parameters is None or entry.bytes.value / entry.parameters.value >= 2
    arithmetic = group.executor.arithmetic if isinstance(group.executor, Gpu) else None
    factor = getattr(catalog.mitigations.get(arithmetic or ""), "memory_factor", None)
    return int(entry.bytes.value * (factor.value if factor and whole else 1.0)), available


def _too_large(scenario: Scenario, claims: dict[str, NodeGroup], catalog: Catalog) -> Iterator[str]:
    """Yield machines that cannot hold the model that they are said to run."""
    for group in claims.values():
        needed, available = memory_of(scenario, group, catalog)
        if needed is not None and available is not None and needed > available:
            yield f"{scenario.workload.model} needs {size(needed)}, and {group.hardware} has {size(available)}"


def _doubts(scenario: Scenario, claims: dict[str, NodeGroup]) -> Iterator[str]:
    """Yield reasons why blocks that hardly ever fail are not believed."""
    if not scenario.replicated and scenario.verification:
        if _never_checks(scenario):
            yield f"verification {scenario.verification.kind} catches nothing: whatever is posted stands"
        return
    native = {name: group for name, group in claims.items() if _arithmetic(group) == "native"}
    if native and _quorum_without(scenario, claims):
        yield "its other nodes are a quorum: blocks are decided by them, and its GPUs only follow"
    for name, group in native.items():
        if not isinstance(group.executor, Gpu) or not group.executor.law.rate:
            yield f"group {name} claims GPUs that never deviate, and nothing keeps native kernels to one answer"
        elif isinstance(group.executor.law, Independent):
            near = run(_with_near_ties(scenario)).block_failure.high
            yield (
                f"group {name} deviates independently of the prompt, which no measurement shows; with near ties blocks "
                f"fail with probability {near:.3g}"
            )
        else:
            rate = group.executor.law.rate
            yield (
                f"group {name} runs native kernels that deviate at a rate of {rate:g}; measured ones differ on 0.3 to "
                "1.3 % of the tokens (arXiv 2605.30218)"
            )


def _quorum_without(scenario: Scenario, claims: dict[str, NodeGroup]) -> bool:
    others = sum(group.count * group.power for name, group in scenario.nodes.items() if name not in claims)
    return others >= scenario.election.quorum


def _with_near_ties(scenario: Scenario) -> Scenario:
    """The same chain, where independent deviations sit on near ties instead."""
    plain: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    plain["run"]["engine"] = "auto"
    for group in plain["nodes"].values():
        law = group["executor"].get("nondeterminism")
        if law and law["difficulty"] == "independent" and law["rate"] < 0.5:
            group["executor"]["nondeterminism"] = law | {"difficulty": "near_tie"}
    return type(scenario).model_validate(plain)
