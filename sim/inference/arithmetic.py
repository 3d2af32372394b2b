"""Arithmetic of a GPU: how its kernels round, what that leaves of the deviations, and what it costs.

What to use when: `native` for kernels as they come; `class_exact` for batch-invariant kernels, bit-exact on machines of
one hardware class (a class then answers as one node, and only mixed classes differ); `exact` for integer or
reproducible kernels, bit-exact on all hardware; `fp32` and `layercast` for more digits, by which ties become rarer.

What remains is the `residual`, the share of the native deviations: noise is proportional to it. Deviations of `exact`,
`fp32` and `layercast` machines are as independent as native ones, at a rate that is multiplied by it. Within a class of
`class_exact` machines a share 1 - residual^2 of the noise is common to all, so that on near ties two of them differ
residual times as often as native machines do (more often where deviations are independent of the prompt).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from sim.base.model import Mistake
from sim.catalog.catalog import builtin

Arithmetic = Literal["native", "class_exact", "exact", "fp32", "layercast"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)


def fill_arithmetic(data: dict[str, Any]) -> None:
    """Fill in what an executor's arithmetic implies: `residual`, `slowdown`, and the noise that a class shares.

    Parameters
    ----------
    data
        What the user wrote for an executor, changed in place; explicit values stay.
    """
    arithmetic = data.get("arithmetic")
    if arithmetic not in ARITHMETICS[1:]:
        return
    entry = builtin().mitigations[str(arithmetic)]
    for key in ("residual", "slowdown"):
        figure = getattr(entry, key)
        if data.get(key) is None and figure is not None:
            data[key] = figure.value
    law, residual = data.get("nondeterminism"), data["residual"]
    if (
        arithmetic == "class_exact"
        and isinstance(law, dict)
        and isinstance(residual, (int, float))
        and 0 <= residual <= 1
    ):
        data["nondeterminism"] = {"shared_noise": common_noise(float(residual)), **law}


def common_noise(residual: float) -> float:
    """Share of the noise that a class has in common where two of its machines differ `residual` times as often.

    With own noise of a share 1 - r, two machines differ by a noise of sqrt(1 - r) times the native standard deviation,
    and near ties split them in proportion to it.

    Examples
    --------
    >>> common_noise(0), common_noise(1), round(common_noise(0.1), 12)
    (1.0, 0.0, 0.99)
    """
    return 1.0 - residual * residual


def arithmetic_clashes(fields: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what does not go together in a GPU executor, as validated."""
    arithmetic = fields.get("arithmetic") or "native"
    if "arithmetic" in fields and arithmetic == "native":
        for key in ("residual", "slowdown"):
            if fields.get(key) is not None:
                yield Mistake((key,), f"goes with an arithmetic other than native: {', '.join(ARITHMETICS[1:])}")
    if "arithmetic" in fields and arithmetic != "class_exact" and fields.get("batch") is not None:
        yield Mistake(("batch",), "goes with arithmetic class_exact: kernels that are exact for one batch size only")
    law, residual = fields.get("nondeterminism"), fields.get("residual")
    if arithmetic == "class_exact" and law is not None and residual is not None:
        wanted = common_noise(residual)
        if abs(law.shared_noise - wanted) > 1e-12:
            message = f"must be left out or 1 - residual^2 = {wanted:g} where arithmetic is class_exact"
            yield Mistake(("nondeterminism", "shared_noise"), message, law.shared_noise)
