"""When two answers count as the same: matching rules, for consensus that tolerates differences.

What to use when: `exact` compares answers as they are; `equivalence` compares them after a transform (the parsed
answer, canonical JSON, rounded numbers, words without punctuation); `tolerance` takes numbers within a bound of the
proposed one; `semantic` takes texts whose embeddings have at least a cosine; `margin` takes tokens that nearly tie.

Numbers can be brought together before the vote: `median` puts the median of all reports to the vote, as oracles do;
`approximate` lets nodes average over rounds, each without what could be false, and then compares within the bound.

Answers that are drawn have no texts; of them `equivalence` takes the `share` of the wrong ones that are equivalent to
the reference output (what it does to the votes is told in `sim.inference.population`).

`exact` and `equivalence` sort answers into classes. `tolerance` and `semantic` do not: A may match B, and B match C,
and A not match C. What then counts as one result, and how a fork can arise, is told in `sim.consensus.tolerant`.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator

from sim.base.model import FrozenModel, Mistake, dumped
from sim.base.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]

MATCHINGS = Registry(
    key="kind",
    builtin={
        "exact": "sim.consensus.matching:Exact",
        "equivalence": "sim.consensus.matching:Equivalence",
        "tolerance": "sim.consensus.matching:Tolerance",
        "semantic": "sim.consensus.matching:Semantic",
        "median": "sim.consensus.matching:Median",
        "approximate": "sim.consensus.matching:Approximate",
        "margin": "sim.consensus.matching:Margin",
    },
    group="sim.matching",
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
TEXTS_MAX = 100
PRESETS = {"parsed_answers": (0.77 - 0.36) / (1 - 0.36)}
"""Shares of wrong answers that are equivalent, by name (see `Equivalence`)."""


class Matching(FrozenModel, ABC):
    """Which answers a node takes for the one that is proposed."""

    kind: str
    """Name of the rule."""

    @property
    def compares_numbers(self) -> bool:
        """Whether it can compare answers that are numbers, not texts."""
        return False

    def alike(self, proposed: Floats, computed: Floats) -> Flags:
        """Whether nodes that computed some numbers accept others that are proposed.

        Parameters
        ----------
        proposed, computed
            Numbers, of shapes that broadcast. Equal ones always match.
        """
        return np.equal(proposed, computed)

    @property
    def assumed(self) -> float | None:
        """Share of the wrong answers that is taken to match the reference output, unread; None where texts are read."""
        return None

    @abstractmethod
    def accepts(self, proposed: str, computed: str) -> bool:
        """Whether a node that computed one answer accepts another that is proposed.

        Parameters
        ----------
        proposed, computed
            Two answers, as texts. Equal ones always match.
        """

    def mutual(self, one: str, other: str) -> bool:
        """Whether two answers match, both ways."""
        return one == other or (self.accepts(one, other) and self.accepts(other, one))

    def table(self, answers: Sequence[str]) -> Flags:
        """Which of some answers match.

        Parameters
        ----------
        answers
            K texts.

        Returns
        -------
        Flags
            Shape (K, K): whether a node that computed the second accepts the first.
        """
        pairs = [[one == other or self.accepts(one, other) for other in answers] for one in answers]
        return np.array(pairs, dtype=np.bool_).reshape(len(answers), len(answers))


class Exact(Matching):
    """Answers match where they are the same text."""

    kind: Literal["exact"] = "exact"

    @property
    def compares_numbers(self) -> bool:
        """It can."""
        return True

    def accepts(self, proposed: str, computed: str) -> bool:
        """Equality."""
        return proposed == computed


class Equivalence(Matching):
    """Answers match where a transform makes them equal; those that it cannot read match only themselves.

    Where answers are drawn, each wrong one is equivalent to the reference output with probability `share`.
    """

    kind: Literal["equivalence"] = "equivalence"
    transform: Literal["words", "answer", "json", "round"] | None = None
    """How recorded answers are read; where neither a share nor a preset is given, `words`: lower case, without accents,
    punctuation and repeated spaces; `answer`: the last number in the text; `json`: canonical JSON; `round`: a number,
    to `digits` after the point."""
    digits: Annotated[int, Field(ge=-300, le=300)] | None = None
    """Digits after the point, for `round`."""
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the wrong answers that are equivalent to the reference output, where answers are drawn."""
    preset: Literal["parsed_answers"] | None = None
    """A measured share. `parsed_answers`: repeated runs of a hosted model at temperature 0 agree byte for byte on 36 %
    of the prompts, and on the parsed answer on 77 %, so 64 % of the prompts that deviate keep their answer (about the
    TARr and TARa that Atil et al., arXiv 2408.04667, have for Llama 3 8B: 38.5 and 76.9 % of 3,314 prompts)."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Read words where nothing else is said."""
        if all(data.get(key) is None for key in ("transform", "share", "preset")):
            data["transform"] = "words"
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """One way to tell what is equivalent; digits where they are needed, and only there."""
        yield from super().cross_checks(fields, data)
        first, *others = (key for key in ("transform", "share", "preset") if data.get(key) is not None)
        for key in others:
            yield Mistake((key,), f"excludes {first}: give one of transform, share and preset", data[key])
        if "transform" in fields and (fields["transform"] == "round") != (data.get("digits") is not None):
            yield Mistake(("digits",), "is required with transform round, and only there")

    @property
    def compares_numbers(self) -> bool:
        """It can where it rounds."""
        return self.transform == "round"

    def alike(self, proposed: Floats, computed: Floats) -> Flags:
        """Equality of the rounded numbers."""
        return np.equal(self._rounded(proposed), self._rounded(computed))

    @property
    def assumed(self) -> float | None:
        """The share, or that of the preset; None where a transform reads texts."""
        return PRESETS[self.preset] if self.preset else self.share

    def accepts(self, proposed: str, computed: str) -> bool:
        """Equality after the transform."""
        one, other = self.transformed(proposed), self.transformed(computed)
        return one is not None and one == other

    def transformed(self, answer: str) -> str | None:
        """What is compared; None where the answer cannot be read so, or there is no transform."""
        if self.transform is None:
            return None
        if self.transform == "words":
            plain = unicodedata.normalize("NFKD", answer).casefold()
            return " ".join(re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c))))
        if self.transform == "answer":
            numbers = _NUMBER.findall(answer)
            last = float(numbers[-1]) if numbers else math.inf
            return repr(last + 0.0) if math.isfinite(last) else None
        if self.transform == "json":
            return _canonical(answer)
        value = number_in(answer)
        return None if value is None else repr(float(self._rounded(np.array(value))) + 0.0)

    def _rounded(self, numbers: Floats) -> Floats:
        """Numbers to so many digits; those that have no more are left as they are."""
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.round(numbers, self.digits or 0)
        return np.where(np.isfinite(rounded), rounded, numbers)


class Within(Matching):
    """Numbers match within a bound of the proposed one; the larger of the two bounds counts."""

    absolute: Annotated[float, Field(ge=0, le=1e300)] = 0.0
    """Largest difference, in the units of the answer."""
    relative: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Largest difference, as a share of the proposed number."""

    @property
    def compares_numbers(self) -> bool:
        """It can."""
        return True

    def alike(self, proposed: Floats, computed: Floats) -> Flags:
        """Within the bound; what is not finite matches only itself."""
        finite = np.isfinite(proposed)
        known = np.where(finite, proposed, 0.0)
        bound = np.maximum(self.absolute, self.relative * np.abs(known))
        return np.where(finite, np.abs(computed - known) <= bound, proposed == computed)

    def accepts(self, proposed: str, computed: str) -> bool:
        """Within the bound; answers that are no numbers match only themselves."""
        one, other = number_in(proposed), number_in(computed)
        return one is not None and other is not None and bool(self.alike(np.array(one), np.array(other)))


class Tolerance(Within):
    """Nodes vote for numbers that are within a bound of their own."""

    kind: Literal["tolerance"] = "tolerance"


class Median(Within):
    """Nodes report numbers, and vote for the median of the reports where it is within the bound of their own.

    Of an even number, the lower of the two in the middle; by voting power. With fewer liars than honest nodes the
    median lies within the range of the honest numbers, whatever they report (Breidenbach et al., Chainlink 2.0, 2021).
    """

    kind: Literal["median"] = "median"


class Approximate(Within):
    """Nodes average over rounds of approximate agreement, and then compare within the bound.

    In each round a node sorts the n numbers that it hears, leaves out the f lowest and the f highest, and takes the
    mean of every f-th that is left. Where n > 3f, all stay within the range of the honest numbers, and come closer by a
    factor of floor((n - 2f - 1) / f) + 1 a round (Dolev, Lynch, Pinter, Stark and Weihl, J. ACM 33, 1986).
    """

    kind: Literal["approximate"] = "approximate"
    rounds: Annotated[int, Field(ge=0, le=100)] = 3
    """Rounds of averaging before the vote."""


class Margin(Matching):
    """Nodes check the tokens that a leader posts, and accept those that are nearly as good as their own best.

    Each runs the model once over the posted tokens (teacher forcing), as checks of logits and activations do: a token
    that falls below its best one by less than the gap is accepted either way. Who accepts is told in
    `sim.inference.forcing`. Byzantine nodes that collude post what a cheaper model answers (`faults.noise`), and vote
    for nothing else.
    """

    kind: Literal["margin"] = "margin"
    gap: Annotated[float, Field(ge=0, le=1e3)]
    """Largest difference of two tokens that counts as a tie, in standard deviations of a node's noise; 0: none."""

    def accepts(self, proposed: str, computed: str) -> bool:
        """Equality: texts have no margins."""
        return proposed == computed


class Semantic(Matching):
    """Texts match where the cosine of their embeddings reaches a threshold; the cosines are given."""

    kind: Literal["semantic"] = "semantic"
    threshold: Annotated[float, Field(ge=-1, le=1)]
    """Smallest cosine of two answers that match."""
    texts: Annotated[list[str], Field(min_length=1, max_length=TEXTS_MAX)]
    """The texts that were embedded."""
    cosines: Annotated[list[list[Annotated[float, Field(ge=-1, le=1)]]], Field(max_length=TEXTS_MAX)]
    """Cosine of each pair, one row a text."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """A symmetric table over different texts."""
        yield from super().cross_checks(fields, data)
        texts, cosines = fields.get("texts"), fields.get("cosines")
        if texts is None or cosines is None:
            return
        if len(set(texts)) < len(texts):
            yield Mistake(("texts",), "must not have a text twice")
        if len(cosines) != len(texts) or any(len(row) != len(texts) for row in cosines):
            yield Mistake(("cosines",), f"must have {len(texts)} rows of {len(texts)} numbers, one for each text")
            return
        for i, row in enumerate(cosines):
            for j, cosine in enumerate(row[:i]):
                if cosine != cosines[j][i]:
                    yield Mistake(("cosines", i, j), f"must be {cosines[j][i]:g}, as in row {j}", cosine)

    def accepts(self, proposed: str, computed: str) -> bool:
        """The cosine reaches the threshold; texts without one match only themselves."""
        place = {text: index for index, text in enumerate(self.texts)}
        if proposed not in place or computed not in place:
            return False
        return self.cosines[place[proposed]][place[computed]] >= self.threshold


def number_in(answer: str) -> float | None:
    """The number that an answer is; None if it is none, or not finite."""
    match = _NUMBER.fullmatch(answer.strip())
    value = float(match[0]) if match else math.inf
    return value if math.isfinite(value) else None


def _canonical(answer: str) -> str | None:
    try:
        return json.dumps(json.loads(answer), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None


AnyMatching = Annotated[
    Matching,
    PlainValidator(
        MATCHINGS.validate,
        json_schema_input_type=Exact | Equivalence | Tolerance | Median | Approximate | Semantic | Margin,
    ),
    PlainSerializer(dumped),
]
"""A matching rule, chosen by its `kind`."""
