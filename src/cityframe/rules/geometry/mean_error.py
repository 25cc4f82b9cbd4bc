"""Mean errors of checked measurements, and which of them are gross.

The statistics are those of GB/T 24356 and GB/T 18316 (中误差、粗差), with ISO 19157's root mean
square error as the case of a check that is far more accurate than the data.
"""

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from cityframe.model.layer import Layer
from cityframe.rules.kind import Parameters

Floats = npt.NDArray[np.float64]


class AccuracyParameters(Parameters):
    """What the kinds about accuracy need beside the place of the true values."""

    max_mean_error_m: float | None = Field(
        default=None,
        gt=0,
        description="mean error allowed, in metres; without it the layer's declared accuracy",
    )
    gross_factor: float = Field(
        default=2.0,
        gt=1,
        description="an error beyond this many times the allowed mean error is gross",
    )
    same_accuracy: bool = Field(
        default=False,
        description="whether the check is only as accurate as the data (同精度检测)",
    )

    def allowed_m(self, layer: Layer) -> float:
        """Return the mean error allowed, in metres."""
        return self.max_mean_error_m or layer.accuracy_m

    def gross_limit_m(self, layer: Layer) -> float:
        """Return the largest error that is not gross, in metres.

        GB/T 24356: twice the allowed mean error, or 2√2 times it where the check is as accurate as
        the data.
        """
        widened = math.sqrt(2) if self.same_accuracy else 1.0
        return self.gross_factor * self.allowed_m(layer) * widened


class MeanErrorParameters(AccuracyParameters):
    """What the kinds that judge a mean error need."""

    few: int = Field(
        default=20,
        ge=1,
        description="with fewer errors the mean of their amounts stands for the mean error",
    )

    def mean_error_m(self, errors: Floats) -> float:
        """Return the mean error; see `mean_error`."""
        return mean_error(errors, few=self.few, same_accuracy=self.same_accuracy)


def mean_error(errors: Floats, *, few: int = 1, same_accuracy: bool = False) -> float:
    """Return the mean square error (中误差) of the errors, in their unit.

    Parameters
    ----------
    errors : ndarray of n floats
        Differences between data and check, gross errors left out; n > 0.
    few : int
        With fewer errors than this it is the mean of their amounts.
    same_accuracy : bool
        Whether the check is only as accurate as the data, so that half of the square is its own.

    References
    ----------
    GB/T 24356 and GB/T 18316: m = √(ΣΔ²/n), with a check of the same accuracy √(ΣΔ²/2n); below 20
    check points the arithmetic mean of the errors takes its place. ISO 19157, measures 39 and 47.
    """
    if len(errors) < few:
        spread = float(np.mean(np.abs(errors)))
    else:
        spread = math.sqrt(float(np.mean(np.square(errors))))
    return spread / math.sqrt(2) if same_accuracy else spread


def kept_errors(errors: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return which errors take part in the mean error: those that are not gross.

    Where all are gross all take part: there is no better knowledge of the layer.
    """
    is_kept: npt.NDArray[np.bool_] = np.abs(errors) <= limit
    return is_kept if is_kept.any() else np.ones(len(errors), dtype=bool)
