"""Rule 3: a chain that claims GPUs either keeps them to one answer, or is not robust, or does not do what it says.

"My chain runs on GPUs" is one of three ("What makes AI on the blockchain hard"):

- *deterministic or approximate consensus*: something keeps its GPUs to one answer (an `arithmetic`), or one execution
  is verified, and blocks fail no more often than the bar;
- *not robust*: blocks fail more often than that;
- *not credible*: blocks hardly ever fail, but nothing in the scenario says why: GPUs with native kernels that never
  deviate, or deviate independently, or that hold no quorum; or a model that its machines cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.analysis.feasibility import size
from sim.engines.select import run
from sim.inference.difficulty.independent import Independent
from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from sim.catalog.catalog import Catalog
    from sim.scenario.schema import NodeGroup, Scenario

BAR = 1e-6
"""Block failure up to which a chain counts as robust; the article calls one block in 10,000 dangerous."""
KEEPS_ONE_ANSWER = "deterministic or approximate consensus"
NOT_ROBUST = "not robust"
NOT_CREDIBLE = "not credible"


class Credibility(NamedTuple):
    """Which of the three cases a chain is.

    Parameters
    ----------
    case
        `deterministic or approximate consensus`, `not robust` or `not credible`.
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
    failure = run(scenario).block_failure.probability
    if missing := next(_too_large(scenario, claims, catalog), None):
        return Credibility(NOT_CREDIBLE, failure, missing)
    if failure > bar:
        return Credibility(NOT_ROBUST, failure, f"blocks fail with probability {failure:.3g}, above the bar of {bar:g}")
    if not scenario.replicated and scenario.verification:
        why = f"one execution is verified ({scenario.verification.kind}), so the others need not compute the same"
        return Credibility(KEEPS_ONE_ANSWER, failure, why)
    if doubt := next(_doubts(scenario, claims), None):
        return Credibility(NOT_CREDIBLE, failure, doubt)
    kept = ", ".join(f"{name}: {_arithmetic(group)}" for name, group in claims.items())
    return Credibility(KEEPS_ONE_ANSWER, failure, f"its GPUs are kept to one answer ({kept})")


def _claims_gpu(group: NodeGroup, catalog: Catalog) -> bool:
    found = catalog.find("hardware", group.hardware)
    return isinstance(group.executor, Gpu) or (found is not None and catalog.hardware[found].kind == "gpu")


def _arithmetic(group: NodeGroup) -> str:
    return (group.executor.arithmetic or "native") if isinstance(group.executor, Gpu) else "native"


def _too_large(scenario: Scenario, claims: dict[str, NodeGroup], catalog: Catalog) -> Iterator[str]:
    """Yield machines that cannot hold the model that they are said to run."""
    model = scenario.workload.model
    found = catalog.find("models", model) if model else None
    for group in claims.values() if found else ():
        label = catalog.find("hardware", group.hardware)
        memory = catalog.hardware[label].memory_bytes if label else None
        factor = getattr(catalog.mitigations.get(_arithmetic(group)), "memory_factor", None)
        needed = catalog.models[found or ""].bytes.value * (factor.value if factor else 1.0)
        if memory is not None and needed > memory.value * (group.devices or 1):
            yield f"{found} needs {size(needed)}, and {label} has {size(memory.value * (group.devices or 1))}"


def _doubts(scenario: Scenario, claims: dict[str, NodeGroup]) -> Iterator[str]:
    """Yield reasons why blocks that hardly ever fail are not believed."""
    native = {name: group for name, group in claims.items() if _arithmetic(group) == "native"}
    if native and _quorum_without(scenario, claims):
        yield "its other nodes are a quorum: blocks are decided by them, and its GPUs only follow"
    for name, group in native.items():
        if not isinstance(group.executor, Gpu) or not group.executor.law.rate:
            yield f"group {name} claims GPUs that never deviate, and nothing keeps native kernels to one answer"
        elif isinstance(group.executor.law, Independent):
            near = run(_with_near_ties(scenario)).block_failure.probability
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
    for group in plain["nodes"].values():
        law = group["executor"].get("nondeterminism")
        if law and law["difficulty"] == "independent" and law["rate"] < 0.5:
            group["executor"]["nondeterminism"] = law | {"difficulty": "near_tie"}
    return type(scenario).model_validate(plain)
