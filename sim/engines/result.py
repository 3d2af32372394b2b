"""What an engine answers: the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sim.base.late import named
from sim.consensus.tally import Outcome
from sim.engines.over_time import ChainMeasures
from sim.engines.timing import Timing
from sim.statistics.intervals import clopper_pearson, mean_interval

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

    from sim.base.picture import Picture
    from sim.scenario.schema import Scenario
    from sim.statistics.counts import Counts


@dataclass(frozen=True, slots=True)
class Estimate:
    """A probability with its 95 % interval.

    Parameters
    ----------
    probability
        The estimate, or the exact value.
    low, high
        Ends of its 95 % interval (Clopper-Pearson); both equal to `probability` where it is exact.
    count
        Blocks with this outcome; None where it is exact.
    """

    probability: float
    low: float
    high: float
    count: int | None

    @classmethod
    def exact(cls, probability: float) -> Estimate:
        """An exact value."""
        value = min(max(probability, 0.0), 1.0)
        return cls(value, value, value, None)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Estimate:
        """Read what `dataclasses.asdict` gave."""
        low, probability, high = (float(plain[key]) for key in ("low", "probability", "high"))
        return cls(probability, low, high, None if plain["count"] is None else int(plain["count"]))

    @classmethod
    def of(cls, count: int, blocks: int) -> Estimate:
        """Estimate from a number of blocks."""
        low, high = clopper_pearson(count, blocks)
        return cls(count / blocks if blocks else 0.0, low, high, count)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval.

    Parameters
    ----------
    mean
        The estimate, or the exact value.
    low, high
        Ends of its 95 % interval; both equal to `mean` where it is exact.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def exact(cls, mean: float) -> Mean:
        """An exact value."""
        return cls(mean, mean, mean)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Mean:
        """Read what `dataclasses.asdict` gave."""
        return cls(*(float(plain[key]) for key in ("mean", "low", "high")))


EXTRAS = ("dropped_per_block", "attempts_per_block")
"""Means that only some mechanisms have."""


@dataclass(frozen=True, slots=True)
class Result:
    """How blocks of a scenario end.

    Parameters
    ----------
    scenario, scenario_id
        Name of the scenario, and its identity: a hash over all that decides the numbers.
    engine, engine_reason
        Who answered, and why that engine.
    nodes
        Number of nodes.
    faults_tolerated, quorum
        Faults f that are tolerated, and quorum q: votes that certify a result; both in voting power.
    blocks
        Blocks simulated; None where the answer is exact.
    seed
        Seed of the random streams.
    outcomes
        Probability of `agreed`, `no_quorum`, `wrong_result` and `forked`; they sum to 1.
    block_failure
        Probability of everything but `agreed`.
    diverged_per_block
        Honest nodes a block that are not in a certified group; failed blocks count 0. Where every request is voted on
        by itself (`endorse`), the sum over the requests that are certified; where there are appeals, those among the
        nodes that voted in the attempt that ended the block.
    warnings
        What the user should know before believing the numbers.
    timing
        What an engine with time measured; None, and left out of plain values, where there is no time.
    dropped_per_block
        Requests a block that are dropped because no result has a quorum; None, and left out of plain values, unless
        every request is voted on by itself (`endorse`).
    attempts_per_block
        Attempts a block, the first one included; None, and left out of plain values, unless there are appeals.
    over_time
        What only chains over time tell; None, and left out of plain values, unless there is recovery or `on_failure`.
    """

    scenario: str
    scenario_id: str
    engine: str
    engine_reason: str
    nodes: int
    faults_tolerated: int
    quorum: int
    blocks: int | None
    seed: int
    outcomes: dict[str, Estimate]
    block_failure: Estimate
    diverged_per_block: Mean
    warnings: tuple[str, ...] = ()
    timing: Timing | None = None
    dropped_per_block: Mean | None = None
    attempts_per_block: Mean | None = None
    over_time: ChainMeasures | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in the order of the JSON contract."""
        from dataclasses import asdict

        plain = asdict(self) | {"warnings": list(self.warnings)}
        for key in ("timing", *EXTRAS):
            if plain[key] is None:
                del plain[key]
        if self.timing and self.timing.blocks_by_messages is None:
            del plain["timing"]["blocks_by_messages"]
        del plain["over_time"]
        return plain | (self.over_time.to_dict() if self.over_time else {})

    def to_pandas(self) -> DataFrame:
        """Make a table of pandas (extra `pandas`).

        Returns
        -------
        pandas.DataFrame
            One row a measure, by name, with `value`, the ends of its 95 % interval `low` and `high`, and `count` where
            blocks were counted. The setting is in `attrs`.

        Raises
        ------
        SplitquorumError
            pandas is not installed.

        Examples
        --------
        >>> from sim import load_scenario, run
        >>> frame = run(load_scenario("scenarios/ninety_nine_ninety_nine.yaml")).to_pandas()
        >>> f"{frame.value['block_failure']:.3g}"
        '9.73e-05'
        """
        from sim.engines.frames import frame_of

        return frame_of(self)

    def to_xarray(self) -> Dataset:
        """Make a dataset of xarray (extra `xarray`).

        Returns
        -------
        xarray.Dataset
            `probability`, `low`, `high` and `count` over the dimension `outcome`; everything else by the name that it
            has in `to_dict`, what is told by type, cause or length along a dimension of its own. The setting is in
            `attrs`.

        Raises
        ------
        SplitquorumError
            xarray is not installed.
        """
        from sim.engines.frames import dataset_of

        return dataset_of(self)

    def plot(self, kind: Literal["outcomes", "survival", "testing"] = "outcomes") -> Picture:
        """Draw it; a notebook shows what is returned.

        Parameters
        ----------
        kind
            `outcomes`: the probability of each, with its interval. Of chains over time also `survival`: the share that
            still runs; `testing`: the chance that a test sees nothing.

        Returns
        -------
        sim.base.picture.Picture
            With `axes`, and `save(path)`.

        Raises
        ------
        ScenarioError
            The result cannot be drawn like that.
        """
        drawn: Picture = named("sim.plotting.result:plot_result")(self, kind)
        return drawn

    def _repr_html_(self) -> str:
        from sim.engines.frames import html_of

        return html_of(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Result:
        """Read what `to_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        fields = dict(plain)
        fields["outcomes"] = {outcome.name: Estimate.from_dict(plain["outcomes"][outcome.name]) for outcome in Outcome}
        fields["block_failure"] = Estimate.from_dict(plain["block_failure"])
        for key in ("diverged_per_block", *EXTRAS):
            if key in plain:
                fields[key] = Mean.from_dict(plain[key])
        fields["warnings"] = tuple(str(warning) for warning in plain["warnings"])
        if "over_time" in plain:
            fields["over_time"] = ChainMeasures.from_dict(fields.pop("nodes_away"), plain["over_time"])
        if plain.get("timing") is not None:
            fields["timing"] = Timing.from_dict(plain["timing"])
        return cls(**fields)


def exact_result(scenario: Scenario, outcomes: dict[Outcome, float], diverged: float, **extra: float) -> Result:
    """Result of probabilities known exactly; `agreed` may be left out of `outcomes`, failures are summed.

    Parameters
    ----------
    scenario, outcomes, diverged
        What was answered, probability of each outcome, and mean number of diverged nodes.
    extra
        Means that only some mechanisms have, by the name of their field.
    """
    failure = sum(probability for outcome, probability in outcomes.items() if outcome != Outcome.agreed)
    agreed = outcomes.get(Outcome.agreed, 1 - failure)
    result = Result(
        **shared_fields(scenario, "exact"),
        blocks=None,
        outcomes={
            outcome.name: Estimate.exact(agreed if outcome == Outcome.agreed else outcomes.get(outcome, 0.0))
            for outcome in Outcome
        },
        block_failure=Estimate.exact(failure),
        diverged_per_block=Mean.exact(diverged),
    )
    means: dict[str, Any] = {name: Mean.exact(mean) for name, mean in extra.items()}
    return replace(result, **means)


def counted_result(scenario: Scenario, counts: Counts) -> Result:
    """Result of blocks that were simulated and counted."""
    by_outcome = dict(zip(Outcome, counts.outcomes, strict=True))
    elections = scenario.workload.requests_per_block if scenario.consensus.result == "endorse" else 1
    nodes = elections * scenario.honest_nodes
    result = Result(
        **shared_fields(scenario, counts.task.engine),
        blocks=counts.trials,
        outcomes={outcome.name: Estimate.of(count, counts.trials) for outcome, count in by_outcome.items()},
        block_failure=Estimate.of(counts.trials - by_outcome[Outcome.agreed], counts.trials),
        diverged_per_block=Mean(*mean_interval(counts.trials, counts.total, counts.total_squares, nodes)),
    )
    sums = (counts.trials, counts.extra, counts.extra_squares)
    if scenario.consensus.result == "endorse":
        return replace(result, dropped_per_block=Mean(*mean_interval(*sums, elections)))
    appeal = scenario.consensus.appeal
    return replace(result, attempts_per_block=Mean(*mean_interval(*sums, appeal.rounds + 1))) if appeal else result


def shared_fields(scenario: Scenario, engine: str) -> dict[str, Any]:
    """What results of all engines have of the scenario."""
    from sim.scenario.warnings import warnings_of

    return {
        "scenario": scenario.name,
        "scenario_id": scenario.scenario_id,
        "engine": engine,
        "engine_reason": "",
        "nodes": scenario.node_count,
        "faults_tolerated": scenario.faults_tolerated,
        "quorum": scenario.election.quorum,
        "seed": scenario.run.seed,
        "warnings": tuple(warnings_of(scenario, engine)),
    }
