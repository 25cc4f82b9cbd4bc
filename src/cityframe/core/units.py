"""Units of length, area, pressure and temperature, and the exact factors between them.

Factors are exact fractions of the SI unit. Sources: BIPM, The International System of Units, 9th
edition (hectare, bar); NIST SP 811 appendix B.8 (international yard and pound of 1959, acre,
atmosphere, conventional millimetre of mercury and metre of water); Federal Register 24-5348 (US
survey foot, 1200/3937 m); State Council of China, 1984, statutory units (亩, one fifteenth of a
hectare).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cityframe.errors import DeclarationError

_FOOT = Fraction("0.3048")
_POUND_FORCE_N = Fraction("0.45359237") * Fraction("9.80665")
_SURVEY_FOOT = Fraction(1200, 3937)
_ZERO_CELSIUS_K = Fraction("273.15")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: value in the SI unit = value · ``factor`` + ``offset``."""

    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


UNITS: dict[str, Unit] = {
    "m": Unit("length", Fraction(1)),
    "mm": Unit("length", Fraction(1, 1000)),
    "cm": Unit("length", Fraction(1, 100)),
    "dm": Unit("length", Fraction(1, 10)),
    "km": Unit("length", Fraction(1000)),
    "in": Unit("length", _FOOT / 12),
    "ft": Unit("length", _FOOT),
    "ft_us": Unit("length", _SURVEY_FOOT),
    "yd": Unit("length", 3 * _FOOT),
    "mi": Unit("length", 5280 * _FOOT),
    "nmi": Unit("length", Fraction(1852)),
    "m2": Unit("area", Fraction(1)),
    "mm2": Unit("area", Fraction(1, 1_000_000)),
    "cm2": Unit("area", Fraction(1, 10_000)),
    "a": Unit("area", Fraction(100)),
    "ha": Unit("area", Fraction(10_000)),
    "km2": Unit("area", Fraction(1_000_000)),
    "in2": Unit("area", (_FOOT / 12) ** 2),
    "ft2": Unit("area", _FOOT**2),
    "ft2_us": Unit("area", _SURVEY_FOOT**2),
    "acre": Unit("area", 43_560 * _FOOT**2),
    "mu": Unit("area", Fraction(10_000, 15)),
    "Pa": Unit("pressure", Fraction(1)),
    "hPa": Unit("pressure", Fraction(100)),
    "kPa": Unit("pressure", Fraction(1000)),
    "MPa": Unit("pressure", Fraction(1_000_000)),
    "mbar": Unit("pressure", Fraction(100)),
    "bar": Unit("pressure", Fraction(100_000)),
    "atm": Unit("pressure", Fraction(101_325)),
    "psi": Unit("pressure", _POUND_FORCE_N / (_FOOT / 12) ** 2),
    "mH2O": Unit("pressure", Fraction("9806.65")),
    "mmHg": Unit("pressure", Fraction("133.322387415")),
    "K": Unit("temperature", Fraction(1)),
    "degC": Unit("temperature", Fraction(1), _ZERO_CELSIUS_K),
    "degF": Unit("temperature", Fraction(5, 9), _ZERO_CELSIUS_K - 32 * Fraction(5, 9)),
}
"""The units by their names in declarations."""

UNITS |= {
    "m²": UNITS["m2"], "km²": UNITS["km2"], "亩": UNITS["mu"], "公顷": UNITS["ha"],
    "米": UNITS["m"], "毫米": UNITS["mm"], "厘米": UNITS["cm"], "千米": UNITS["km"],
    "平方米": UNITS["m2"], "平方千米": UNITS["km2"], "°C": UNITS["degC"], "℃": UNITS["degC"],
    "°F": UNITS["degF"], "us-ft": UNITS["ft_us"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """From one unit to another: target = source · ``factor`` + ``offset``."""

    factor: Fraction
    offset: Fraction

    @property
    def is_identity(self) -> bool:
        """Whether values stay as they are."""
        return self.factor == 1 and self.offset == 0

    def __call__(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the values in the target unit; NaN stays NaN.

        Multiplies and divides by whole numbers, so that 1500 mm is 1.5 m to the last digit.
        """
        scaled = values * float(self.factor.numerator) / float(self.factor.denominator)
        return scaled + float(self.offset) if self.offset else scaled


def unit_conversion(source: str, target: str, *, where: str) -> Conversion:
    """Return the conversion between two units.

    Parameters
    ----------
    source, target : str
        Names in `UNITS`; equal names need not be known.
    where : str
        File and field, for the message.

    Raises
    ------
    DeclarationError
        If a unit is unknown or the two measure different things.
    """
    if source == target:
        return Conversion(Fraction(1), Fraction(0))
    for name in (source, target):
        if name not in UNITS:
            raise DeclarationError(
                where=where,
                found=f"unit {name!r} is unknown" if name else "the attribute has no unit",
                expected=f"one of {', '.join(UNITS)}",
            )
    before, after = UNITS[source], UNITS[target]
    if before.dimension != after.dimension:
        raise DeclarationError(
            where=where,
            found=f"unit {source!r} measures {before.dimension}",
            expected=f"a unit of {after.dimension} like {target!r}",
        )
    return Conversion(before.factor / after.factor, (before.offset - after.offset) / after.factor)
