"""Flags that several commands have, read as a scenario file's values would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sim.sweeps.stopping import Stopping

PRICES_MAX = 1_000
PRICED_BLOCKS_MAX = 1_000_000_000
Override = Annotated[list[str] | None, Parameter(name="--set", negative=())]
"""`--set PATH=VALUE`, any number of times."""


@Parameter(name="*")
@dataclass(frozen=True)
class Limits:
    """When a sweep has seen enough.

    Parameters
    ----------
    max_blocks
        Blocks of a simulated point, in place of run.blocks: 1e8.
    max_failures
        End a simulated point at that many failing blocks.
    relative_error
        End a simulated point when the interval is narrow enough: 0.1 is plus or minus 10 %.
    max_time
        End the sweep after that many seconds; what it then has cannot be reproduced.
    """

    max_blocks: str | None = None
    max_failures: str | None = None
    relative_error: str | None = None
    max_time: str | None = None

    def stopping(self) -> Stopping:
        """Read the flags.

        Raises
        ------
        ScenarioError
            One of them is out of range.
        """
        from sim.sweeps.stopping import Stopping

        rules = Stopping(
            number(self.max_blocks, "--max-blocks", whole, "a whole number of blocks up to 1e12"),
            number(self.max_failures, "--max-failures", whole, "a whole number"),
            number(self.relative_error, "--relative-error", float, "a number such as 0.1"),
            number(self.max_time, "--max-time", float, "a number of seconds"),
        )
        rules.check()
        return rules


def draws(text: str | None) -> int:
    """Read `--parameter-draws`; 0 where it is absent.

    Raises
    ------
    ScenarioError
        It is no number of draws.
    """
    from sim.scenario.uncertain import DRAWS_MAX

    found = numbers(text, "--parameter-draws", whole, f"a whole number from 1 to {DRAWS_MAX:,}", 1, DRAWS_MAX, 1)
    return int(found[0]) if found else 0


@Parameter(name="*")
@dataclass(frozen=True)
class Names:
    """Where what a scenario names is found.

    Parameters
    ----------
    files_anywhere
        Let the scenario name files (GraphML) outside its folder.
    catalog
        A file of your own (YAML) with platforms, models or hardware that the scenario names; see sim catalog.
    """

    files_anywhere: bool = False
    catalog: str | None = None

    def options(self) -> dict[str, Any]:
        """Arguments for those who load scenarios.

        Raises
        ------
        ScenarioError
            Something is wrong with the catalog.
        """
        from sim.catalog.catalog import catalog_with

        known = catalog_with(self.catalog) if self.catalog else None
        return {"files_anywhere": self.files_anywhere, "catalog": known}


@Parameter(name="*")
@dataclass(frozen=True)
class Pricing:
    """Which values of a matching rule's parameter have a price.

    Parameters
    ----------
    parameter
        With --price: the parameter that moves, such as absolute, relative, gap, threshold; by default the rule's own.
    values
        With --price: its values, as 0.5,1,2; by default those where it matters.
    blocks
        With --price: blocks to draw for each value that has no exact law: 1e6.
    """

    parameter: str | None = None
    values: str | None = None
    blocks: str | None = None

    def read(self) -> tuple[list[float] | None, int | None]:
        """Values and blocks that were asked for.

        Raises
        ------
        ScenarioError
            One is no number, out of range, or there are too many.
        """
        wanted = f"a whole number of blocks from 1 to {PRICED_BLOCKS_MAX:,}"
        blocks = numbers(self.blocks, "--blocks", whole, wanted, 1, PRICED_BLOCKS_MAX, 1)
        values = numbers(self.values, "--values", float, "numbers such as 0.5,1,2", -1e100, 1e100, PRICES_MAX)
        return values, int(blocks[0]) if blocks else None


@Parameter(name="*")
@dataclass(frozen=True)
class Workers:
    """Who works on a sweep.

    Parameters
    ----------
    workers
        Processes; by default one a processor.
    scheduler
        Run on a Dask cluster: tcp://HOST:PORT (extra `cluster`); such a port runs any code, so keep it private.
    """

    workers: str | None = None
    scheduler: str | None = None

    def number(self) -> int | None:
        """Number of processes that was asked for.

        Raises
        ------
        ScenarioError
            It is no whole number.
        """
        found: int | None = number(self.workers, "--workers", whole, "a whole number of processes")
        return found


def settings(**given: str | None) -> dict[str, tuple[str, Any]]:
    """Turn flags of the `run` block into overrides: field to (the flag as written, its value).

    Parameters
    ----------
    given
        `engine`, `blocks`, `seed`: their text; None where the flag is absent.

    Raises
    ------
    ScenarioError
        A text is not a YAML value.
    """
    from sim.base.document import parse_value
    from sim.base.text import bounded

    shown = {name: bounded(f"--{name} {text}") for name, text in given.items()}
    return {
        f"run.{name}": (shown[name], parse_value(text, shown[name])) for name, text in given.items() if text is not None
    }


def number(text: str | None, flag: str, kind: Callable[[float], float | int], wanted: str) -> Any:
    """Read a number that a flag gives; None where it is absent.

    Parameters
    ----------
    text, flag
        What was written, and where.
    kind
        Turns the number into what is wanted, or raises ValueError.
    wanted
        What is wanted, for the message: "a whole number".

    Raises
    ------
    ScenarioError
        It is something else.
    """
    from sim.base.errors import Problem, ScenarioError

    if text is None:
        return None
    try:
        return kind(float(text))
    except (ValueError, OverflowError):
        raise ScenarioError([Problem("", f"must be {wanted}", text, flag)]) from None


def numbers(
    text: str | None,
    flag: str,
    kind: Callable[[float], float | int],
    wanted: str,
    least: float,
    most: float,
    length: int,
) -> list[Any] | None:
    """Read a list of numbers with commas between them; None where the flag is absent.

    Parameters
    ----------
    text, flag, kind, wanted
        As in `number`.
    least, most
        Range of each.
    length
        How many there are at most.

    Raises
    ------
    ScenarioError
        It is something else.
    """
    from sim.base.errors import Problem, ScenarioError

    if text is None:
        return None
    parts = text.split(",")
    if len(parts) > length:
        raise ScenarioError([Problem("", f"must be {wanted}, at most {length:,}", len(parts), flag)])
    found = [number(part, flag, kind, wanted) for part in parts]
    for value in found:
        if not least <= value <= most:
            raise ScenarioError([Problem("", f"must be from {least:,g} to {most:,g}", value, flag)])
    return found


def whole(value: float) -> int:
    """A whole number of at least 1."""
    if not value.is_integer() or not 1 <= value <= 1e12:
        raise ValueError(value)
    return int(value)


def probability(value: float) -> float:
    """A probability."""
    if not 0 <= value <= 1:
        raise ValueError(value)
    return value


def seconds(value: float) -> float:
    """A time that is not negative."""
    if not 0 <= value < float("inf"):
        raise ValueError(value)
    return value


def refuse_unused(flags: Mapping[str, Any], other: str, *, given: bool) -> None:
    """Refuse flags that would be ignored.

    Parameters
    ----------
    flags
        Name to value; None where it is absent.
    other
        The flag that they go with, or not.
    given
        Whether that one is given: then they do not go with it, else they need it.

    Raises
    ------
    ScenarioError
        Some are given.
    """
    from sim.base.errors import Problem, ScenarioError

    message = f"does not go with {other}" if given else f"goes with {other}"
    problems = [Problem("", message, value, flag) for flag, value in flags.items() if value is not None]
    if problems:
        raise ScenarioError(problems)
