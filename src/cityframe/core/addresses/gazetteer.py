"""What the framework knows of addresses: streets with all their names, and numbered places."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cityframe.core.addresses.division_names import COUNTY
from cityframe.core.addresses.parts import INSIDE, PARTS, Style
from cityframe.core.addresses.street_names import name_parts, street_keys

_MARKS = "甲乙丙丁"


@dataclass(frozen=True)
class Gazetteer:
    """Entities that an address can be resolved to.

    Attributes
    ----------
    style : Style
        How the addresses are written.
    streets : DataFrame, a row a name
        ``division`` (district; empty if the layer does not say it), ``key``, ``street`` (number of
        the street that it names), ``bare``, ``type``, ``telling``.
    points : DataFrame, n rows
        In the order of the features: ``street`` (-1 without), ``division``, ``number`` and what is
        inside (`INSIDE`).
    """

    style: Style
    streets: pd.DataFrame
    points: pd.DataFrame

    @classmethod
    def of(
        cls, features: pd.DataFrame, style: Style, aliases: pd.DataFrame | None = None
    ) -> "Gazetteer":
        """Make a gazetteer of the features of an address layer.

        Parameters
        ----------
        features : DataFrame, n rows
            Columns of `PARTS`, empty where nothing is said.
        aliases : DataFrame, optional
            ``division`` (may be left out), ``name``, ``alias``: other names of streets.
        """
        keyed = keyed_parts(features, style)
        other = _aliases(aliases, style)
        names = pd.concat([keyed[["division", "key"]], other[["division", "key"]]])
        names = names[names["key"] != ""].drop_duplicates().reset_index(drop=True)
        names["street"] = np.arange(len(names))
        by_alias = other.merge(names, on=["division", "key"])
        streets = pd.concat(
            [names, by_alias[["division", "alias", "street"]].rename(columns={"alias": "key"})],
            ignore_index=True,
        ).drop_duplicates(ignore_index=True)
        points = keyed.merge(names, on=["division", "key"], how="left")
        points["street"] = points["street"].fillna(-1).astype("int64")
        return cls(
            style=style,
            streets=pd.concat([streets, name_parts(streets["key"], style)], axis=1),
            points=points[["street", "division", "number", *INSIDE]],
        )

    def street_keys(self) -> frozenset[str]:
        """Return all names of streets in the form that is compared."""
        return frozenset(self.streets["key"])


def keyed_parts(parts: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Return addresses in the form that is compared: ``division``, ``key``, ``number``, `INSIDE`.

    The number holds the lane, has no leading zeros and no dash before a letter (33-A is 33A).
    """
    number = parts["number"].where(parts["lane"] == "", parts["lane"] + "弄" + parts["number"])
    number = number.str.replace(r"\b0+(?=\d)", "", regex=True)
    number = number.str.strip().str.replace(r"[ -]+", "-", regex=True)
    number = number.str.replace(rf"(?<=\d)-(?=[A-Z{_MARKS}]\b)|(?<=[{_MARKS}])-", "", regex=True)
    return pd.DataFrame(
        {
            "division": districts(parts["division"]),
            "key": street_keys(parts["street"], style),
            "number": number,
            **{name: parts[name].str.replace(r"\b0+(?=\d)", "", regex=True) for name in INSIDE},
        }
    ).reset_index(drop=True)


def districts(divisions: pd.Series) -> pd.Series:
    """Return the codes of districts for those of towns; a division by its name stays."""
    return divisions.str.replace(rf"^(\d{{{COUNTY}}})\d+$", r"\1", regex=True)


def parts_of(columns: pd.DataFrame) -> pd.DataFrame:
    """Return a table of all `PARTS` from some of them; the others are empty, and so are nulls."""
    given = columns.reset_index(drop=True).fillna("").astype("str")
    return pd.DataFrame(
        {name: given.get(name, "") for name in PARTS},
        index=range(len(columns)),
        dtype="str",
    )


def _aliases(aliases: pd.DataFrame | None, style: Style) -> pd.DataFrame:
    if aliases is None:
        return pd.DataFrame({"division": [], "key": [], "alias": []}, dtype="str")
    text = aliases.fillna("").astype("str")
    division = districts(text["division"]) if "division" in text else ""
    table = pd.DataFrame(
        {
            "division": division,
            "key": street_keys(text["name"], style),
            "alias": street_keys(text["alias"], style),
        }
    )
    return table[(table["key"] != "") & (table["alias"] != "")].reset_index(drop=True)
