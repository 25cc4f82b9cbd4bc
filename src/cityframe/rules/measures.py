"""The ISO 19157:2013 measures that rule kinds report."""

from cityframe.model.finding import Measure

REGISTER = "ISO 19157:2013"
OWN_REGISTER = "cityframe"

_NAMES = {
    "2": "number of excess items",
    "4": "number of duplicate feature instances",
    "6": "number of missing items",
    "7": "rate of missing items",
    "10": "number of items not compliant with the rules of the conceptual schema",
    "11": "number of invalid overlaps of surfaces",
    "16": "number of items not in conformance with their value domain",
    "19": "number of physical structure conflicts",
    "21": "number of faulty point-curve connections",
    "23": "number of missing connections due to undershoots",
    "24": "number of missing connections due to overshoots",
    "25": "number of invalid slivers",
    "26": "number of invalid self-intersect errors",
    "27": "number of invalid self-overlap errors",
    "30": "number of positional uncertainties above a given threshold",
    "31": "rate of positional uncertainties above a given threshold",
    "39": "root mean square error",
    "47": "root mean square error of planimetry",
    "53": "relative horizontal error",
    "61": "misclassification rate",
    "62": "misclassification matrix",
    "65": "number of incorrect attribute values",
    "68": "attribute value uncertainty at 68.3 % significance level",
    "128": "bias of positions",
    "159": "chronological order",
}


def iso_measure(identifier: str) -> Measure:
    """Return a measure of ISO 19157:2013, annex D, by its identifier.

    Raises
    ------
    KeyError
        If no rule kind reports that measure yet.
    """
    return Measure(register=REGISTER, id=identifier, name=_NAMES[identifier])


def own_measure(identifier: str, name: str) -> Measure:
    """Return a measure that ISO 19157 does not have, under this project's own register."""
    return Measure(register=OWN_REGISTER, id=identifier, name=name)
