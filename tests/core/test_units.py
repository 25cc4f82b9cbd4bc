import numpy as np
import pytest

from cityframe.core.units import UNITS, unit_conversion
from cityframe.errors import DeclarationError


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("mm", "m", 1500.0, 1.5),
        ("mm", "m", 0.1, 0.0001),
        ("ft", "m", 1.0, 0.3048),
        ("ft_us", "m", 3937.0, 1200.0),
        ("us-ft", "ft_us", 7.0, 7.0),
        ("km", "mm", 1.0, 1_000_000.0),
        ("mu", "m2", 15.0, 10_000.0),
        ("亩", "ha", 15.0, 1.0),
        ("acre", "m2", 1.0, 4046.8564224),
        ("psi", "kPa", 1.0, 6.894757293168361),
        ("bar", "MPa", 10.0, 1.0),
        ("mH2O", "kPa", 1.0, 9.80665),
        ("degF", "degC", 212.0, 100.0),
        ("degC", "K", 0.0, 273.15),
        ("K", "degC", 0.0, -273.15),
        ("℃", "degF", -40.0, -40.0),
    ],
)
def test_converts_by_the_published_factor(
    source: str, target: str, value: float, expected: float
) -> None:
    converted = unit_conversion(source, target, where="")(np.array([value]))
    assert converted[0] == pytest.approx(expected, rel=1e-15, abs=1e-12)


@pytest.mark.parametrize("name", sorted(UNITS))
def test_there_and_back_is_the_same_value(name: str) -> None:
    base = {"length": "m", "area": "m2", "pressure": "Pa", "temperature": "K"}
    si = base[UNITS[name].dimension]
    there = unit_conversion(name, si, where="")(np.array([12.5]))
    assert unit_conversion(si, name, where="")(there)[0] == pytest.approx(12.5)


def test_null_stays_null() -> None:
    assert np.isnan(unit_conversion("mm", "m", where="")(np.array([np.nan])))[0]


def test_equal_names_need_not_be_known() -> None:
    assert unit_conversion("persons", "persons", where="").is_identity


def test_unknown_unit_is_a_declaration_error_that_names_the_file() -> None:
    with pytest.raises(DeclarationError, match=r"sources/pipes.yaml.*'furlong' is unknown"):
        unit_conversion("furlong", "m", where="sources/pipes.yaml")


def test_attribute_without_unit_cannot_be_converted_to() -> None:
    with pytest.raises(DeclarationError, match="the attribute has no unit"):
        unit_conversion("mm", "", where="sources/pipes.yaml")


def test_another_dimension_is_a_declaration_error() -> None:
    with pytest.raises(DeclarationError, match="'ha' measures area, expected a unit of length"):
        unit_conversion("ha", "m", where="sources/pipes.yaml")
