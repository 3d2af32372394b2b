"""What becomes of a node whose answer lost, and of a chain whose block fails.

On a real chain a node that diverged has a wrong state: it crashes or syncs, and cannot vote meanwhile. That spends the
fault budget, so that a later deviation which would have been harmless stops the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sim.base.model import WHOLE, FrozenModel, Mistake

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

OnFailure = Literal["halt", "retry", "next_leader", "skip"]
SLOTS_MAX = 10**12
IN_SECONDS = "it counts blocks, no seconds (recovery.seconds)"
"""Why engines without a clock refuse a scenario."""
_WAYS = ("blocks", "seconds", "law", "every", "never")


class Recovery(FrozenModel):
    """For how long a node is away that diverged in a slot: it cannot vote in the slots that follow."""

    blocks: Annotated[int, Field(ge=1, le=SLOTS_MAX)] | None = None
    """So many slots."""
    law: Literal["geometric", "lognormal"] | None = None
    """A random number of slots, at least 1: `geometric` (memoryless), or `lognormal` rounded up."""
    mean_blocks: Annotated[float, Field(ge=1, le=1e9)] | None = None
    """Its mean, for `law`; of a lognormal one before it is rounded up."""
    sigma: Annotated[float, Field(gt=0, le=10)] | None = None
    """Standard deviation of the logarithm, for `law: lognormal`; left out, 1."""
    every: Annotated[int, Field(ge=1, le=SLOTS_MAX)] | None = None
    """Until the next checkpoint: it is back after the block whose height is a multiple of this, at once if it diverged
    in that block."""
    seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """So many seconds of simulated time; with `state_bytes`, after the state has come."""
    state_bytes: Annotated[int, Field(ge=1, le=10**15), WHOLE] | None = None
    """With `seconds`: bytes of state that the node fetches from its peers first, part by part, over the network."""
    never: bool | None = None
    """For ever."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Exactly one way, and the mean that a law needs."""
        yield from super().cross_checks(fields, data)
        given = [key for key in _WAYS if data.get(key) is not None]
        if len(given) != 1:
            yield Mistake((), f"must have exactly one of {', '.join(_WAYS)} (has {', '.join(given) or 'none'})")
        if data.get("never") is False:
            yield Mistake(("never",), "must be true, or left out", data["never"])
        if (data.get("law") is None) != (data.get("mean_blocks") is None):
            yield Mistake(("mean_blocks",), "is required with law, and only there")
        if data.get("sigma") is not None and data.get("law") != "lognormal":
            yield Mistake(("sigma",), "goes with law lognormal", data["sigma"])
        if data.get("state_bytes") is not None and data.get("seconds") is None:
            yield Mistake(("state_bytes",), "goes with seconds", data["state_bytes"])

    @property
    def timed(self) -> bool:
        """Whether it is told in seconds."""
        return self.seconds is not None

    def draw(self, stream: Generator, size: int) -> Integers:
        """Draw for how many slots nodes are away, at least 1; not for `seconds`, `every` and `never`.

        Parameters
        ----------
        stream
            Source of randomness.
        size
            Number of nodes.
        """
        if self.blocks is not None:
            return np.full(size, self.blocks, dtype=np.int64)
        mean = self.mean_blocks or 1.0
        if self.law == "geometric":
            return stream.geometric(1 / mean, size).astype(np.int64)
        sigma = self.sigma or 1.0
        drawn = stream.lognormal(np.log(mean) - sigma * sigma / 2, sigma, size)
        return np.maximum(np.ceil(np.minimum(drawn, float(SLOTS_MAX))), 1).astype(np.int64)
