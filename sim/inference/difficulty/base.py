"""What every difficulty model has: a rate, how wrong answers spread, what is shared, and the law over prompts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sim.base.model import FrozenModel, Mistake, without_default

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


RATE_MIN = 1e-300  # below it double precision ends


_Span = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0, allow_inf_nan=True)]], Field(strict=False)
]


class Intervals(FrozenModel):
    """95 % intervals of the parameters of a difficulty model, as `sim calibrate` prints them."""

    rate: _Span | None = None
    """Low and high."""
    correlation: _Span | None = None
    """Low and high."""
    alternatives: _Span | None = None
    """Low and high."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Low ends that are not above the high ones."""
        yield from super().cross_checks(fields, data)
        for key, span in fields.items():
            if span is not None and not span[0] <= span[1]:
                yield Mistake((key,), "must be low and high, in this order", list(span))


class Difficulty(FrozenModel, ABC):
    """How a group of GPUs deviates from the reference output, at one decision point.

    Each decision point draws one hardness u ~ U(0, 1), shared by all groups; u = 0 is the hardest. A model says with
    which probability p(u) a node then deviates; p falls with u, and its mean over u is `rate`.
    """

    difficulty: str
    """Name of the model."""
    rate: Annotated[float, Field(ge=0, lt=1)]
    """Probability that a node deviates from the reference output at one decision point; 0 never deviates."""
    per: Literal["request", "token"] = "request"
    """What a decision point is: a whole request, or each of its output tokens."""
    alternatives: Annotated[float, Field(ge=0, allow_inf_nan=True, json_schema_extra=without_default)] = 0.0
    """Concentration of the Chinese-restaurant process by which deviating nodes choose among wrong answers: 0, all give
    the same second-best answer; .inf, all differ."""
    shared_noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share r of the noise that nodes of one hardware class have in common; 1: the class deviates as one node."""

    intervals: Annotated[Intervals | None, Field(exclude=True)] = None
    """95 % intervals of its parameters, for `--parameter-draws`; no part of what is simulated."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in `difficulty`, and `alternatives`, whose default depends on the model and on `shared_noise`."""
        shared = data.get("shared_noise", 0)
        number = isinstance(shared, (int, float)) and not isinstance(shared, bool)
        data.setdefault("difficulty", cls.model_fields["difficulty"].default)
        data.setdefault("alternatives", cls.default_alternatives(shared if number else 0))
        return data

    @classmethod
    def default_alternatives(cls, shared_noise: float) -> float:  # noqa: ARG003 -- other models need it
        """Concentration meant when `alternatives` is not given."""
        return 0.0

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Refuse partly shared noise together with several wrong answers: who then chooses is not defined."""
        yield from super().cross_checks(fields, data)
        if 0 < fields.get("rate", 0) < RATE_MIN:
            yield Mistake(("rate",), f"must be 0 or at least {RATE_MIN:g}", fields["rate"])
        alternatives = fields.get("alternatives")
        if alternatives != alternatives:  # noqa: PLR0124 -- only nan differs from itself
            yield Mistake(("alternatives",), "must be at least 0, or .inf", alternatives)
        elif 0 < fields.get("shared_noise", 0) < 1 and alternatives:
            message = "must be 0 where shared_noise is between 0 and 1"
            yield Mistake(("alternatives",), message, alternatives)

    @abstractmethod
    def deviation_probability(self, hardness: Floats) -> Floats:
        """Probability that a node deviates at a decision point of the given hardness.

        Parameters
        ----------
        hardness
            Draws of u in [0, 1], any shape; 0 is the hardest.

        Returns
        -------
        Floats
            p(u), the same shape, in [0, 1), never rising with u.
        """

    @abstractmethod
    def edges(self, resolution: float) -> Floats:
        """Points of (0, 1) between which p(u) is smooth enough for quadrature, and nearly constant.

        Parameters
        ----------
        resolution
            Panel size wanted, as a share of the width over which p goes from 0 to 1; 1/sqrt(n) resolves binomials of n.

        Returns
        -------
        Floats
            Any order; 0 and 1 are implied.
        """

    @property
    def by_hardware(self) -> bool:
        """Whether nodes of different hardware classes differ by this law even where none of their noise is shared."""
        return False

    def deviator_law(self, nodes: int) -> Floats | None:  # noqa: ARG002 -- models with a closed form need it
        """Closed form of P(D of `nodes` deviate), D = 0..nodes, over prompts and own noise; None if there is none.

        Parameters
        ----------
        nodes
            Number of nodes, each with its own noise.

        Returns
        -------
        Floats or None
            Shape (nodes + 1,).
        """
        return None
