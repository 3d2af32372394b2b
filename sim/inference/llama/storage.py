"""Storage formats: the floating-point numbers in which a GPU keeps the results of its kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Dtype = Literal["bf16", "fp16", "fp32"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

_FP16_NORMAL_MIN = np.float32(2.0**-14)
_FP16_OVERFLOW = np.float32(2.0**16)
_BINADE = np.float32(0.75)  # numbers around it are 2^-24 apart in fp32, as those of fp16 are around zero


class Storage(NamedTuple):
    """A storage format: sums are formed in fp32, and results are rounded to it.

    Parameters
    ----------
    dtype
        `bf16`, `fp16` or `fp32`.
    """

    dtype: Dtype

    @property
    def precision(self) -> int:
        """Bits of the significand, the implicit one included."""
        return {"bf16": 8, "fp16": 11, "fp32": 24}[self.dtype]

    @property
    def unit_roundoff(self) -> float:
        """Largest relative error of rounding to nearest: half the distance from 1 to the next number."""
        return float(2.0**-self.precision)

    def rounded(self, values: Floats) -> Floats:
        """Round to nearest, ties to even; beyond the largest number, infinity.

        Parameters
        ----------
        values
            In fp32, any shape; not changed.

        Returns
        -------
        Floats
            Numbers of the format, held in fp32. In `fp32` the very same array.
        """
        if self.dtype == "fp32":
            return values
        result = _cut(values, 24 - self.precision)
        if self.dtype == "fp16":
            magnitude = np.abs(result)
            np.copyto(result, (values + _BINADE) - _BINADE, where=magnitude < _FP16_NORMAL_MIN)
            if magnitude.size and not magnitude.max() < _FP16_OVERFLOW:
                result = np.where(magnitude >= _FP16_OVERFLOW, np.copysign(np.float32(np.inf), values), result)
        return result


def _cut(values: Floats, bits: int) -> Floats:
    """Round the last bits of each significand away, as integers: a carry into the exponent is as it must be."""
    whole = np.ascontiguousarray(values).view(np.uint32)
    result = whole >> np.uint32(bits)
    result &= np.uint32(1)
    result += np.uint32((1 << (bits - 1)) - 1)
    result += whole
    result &= np.uint32(0xFFFFFFFF ^ ((1 << bits) - 1))
    return result.view(np.float32)
