"""Answers that are numbers: a true value, the noise of a hardware class, and the noise of a node.

A price, a score, a logit: nodes compute nearly the same number, never quite. Node i of class c answers

    true value + class_noise C_c + node_noise E_i

in the units of the output, with C and E independent, of mean 0 and standard deviation 1, fresh in every block. The true
value is the workload's (`workload.true_value`); only relative bounds depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sim.base.model import Mistake
from sim.inference.timed import Timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_DEVIATION_MIN = 1e-100
Shape = Literal["gaussian", "laplace", "uniform"]
Deviation = Annotated[float, Field(ge=0, le=1e100)]


class Numeric(Timed):
    """Answers with a number that is off the true value by the noise of its class, and its own."""

    kind: Literal["numeric"] = "numeric"
    class_noise: Deviation = 0.0
    """Standard deviation of what all nodes of its hardware class are off by together, in the units of the output."""
    node_noise: Deviation = 0.0
    """Standard deviation of what each node is off by on top, in the units of the output."""
    noise: Shape = "gaussian"
    """Law of both: `gaussian`, `laplace` (heavier tails) or `uniform`."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """No noise, or one that can be divided by."""
        yield from super().cross_checks(fields, data)
        for key in ("class_noise", "node_noise"):
            if 0 < fields.get(key, 0.0) < _DEVIATION_MIN:
                yield Mistake((key,), f"must be 0 or at least {_DEVIATION_MIN:g}", fields[key])


@dataclass(frozen=True, slots=True)
class NumberGroup:
    """The honest nodes of one group that answers with numbers."""

    count: int
    power: int
    hardware: str
    executor: Numeric


class NumberSampler:
    """Draws the numbers that honest nodes answer, for many blocks at once.

    Parameters
    ----------
    groups
        In a fixed order; those of one class meet one noise of the class.
    true_value
        The true value.
    """

    def __init__(self, groups: Sequence[NumberGroup], true_value: float) -> None:
        self.groups, self.true_value = [group for group in groups if group.count], true_value
        self.classes = sorted({(group.hardware, group.executor.noise) for group in self.groups})
        self.power: Integers = np.repeat(
            np.array([group.power for group in self.groups], dtype=np.int64),
            np.array([group.count for group in self.groups], dtype=np.int64),
        )

    def draw(self, stream: Generator, blocks: int) -> Floats:
        """Draw answers, shape (blocks, h), one column a node, groups in their order."""
        shared = {key: standard(stream, key[1], (blocks, 1)) for key in self.classes}
        columns = [np.empty((blocks, 0))]
        for group in self.groups:
            noise = group.executor
            common = noise.class_noise * shared[group.hardware, noise.noise]
            own = noise.node_noise * standard(stream, noise.noise, (blocks, group.count))
            columns.append(self.true_value + common + own)
        return np.concatenate(columns, axis=1)


def standard(stream: Generator, shape: Shape, size: tuple[int, ...]) -> Floats:
    """Draw noise of mean 0 and standard deviation 1."""
    if shape == "gaussian":
        return stream.standard_normal(size)
    if shape == "laplace":
        return stream.laplace(scale=math.sqrt(0.5), size=size)
    return stream.uniform(-math.sqrt(3), math.sqrt(3), size)
