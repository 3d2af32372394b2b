"""How long an answer takes: measured where there is a measurement, else bounded by operations and by memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.catalog.entries import Hardware, ModelEntry


class Speed(NamedTuple):
    """Seconds of one output token, and how they are known."""

    seconds_per_token: float
    how: str


def speed_on(hardware: Hardware, name: str, model: ModelEntry) -> Speed:
    """Time of a token of a model, one request at a time.

    Parameters
    ----------
    hardware
        What it runs on.
    name, model
        The model; measurements go by its name.

    Returns
    -------
    Speed
        Measured; else the longer of the operations and, for a model of many tokens, of one reading of the weights: a
        lower bound (the roofline model, Williams et al. 2009).
    """
    measured = hardware.tokens_per_s.get(name)
    if measured is not None:
        return Speed(1 / measured.value, f"measured: {measured.value:g} tokens a second")
    operations = model.operations_per_token.value / hardware.operations_per_s.value
    reading = model.bytes.value / hardware.memory_bytes_per_s.value if hardware.memory_bytes_per_s else 0.0
    if reading > operations:
        return Speed(reading, "at least: one reading of the weights a token")
    return Speed(operations, "at least: the operations at full speed")
