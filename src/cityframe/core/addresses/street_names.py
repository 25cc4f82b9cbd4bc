"""Names of streets as keys, and which of them are near one another."""

import re

import numpy as np
import pandas as pd
from rapidfuzz import process
from rapidfuzz.distance import OSA

from cityframe.core.addresses.parts import Style
from cityframe.core.addresses.text import folded_chinese
from cityframe.core.addresses.western import STREET_TYPES, western_street_key

LETTERS_A_SLIP = 5
"""A slip (a letter wrong, lost, added or exchanged) is forgiven in so many letters of a name."""
MOST_SLIPS = 1
"""Two slips are as many as there are between neighbours: Angle Park and Argyle Park Terrace."""
_ROWS = 2_000
_CHINESE_TYPE = re.compile(r"(?:公路|胡同|高速|大道|大街|[路街巷道里弄条])$")
# names that differ in one of these are different streets, however alike they are
_TELLING = {
    "chinese": re.compile(r"\d+|[一二三四五六七八九十百零东南西北中前后上下内外新老大小纵横环支]"),
    "western": re.compile(
        r"\d+|\b[A-Z]\b|\b(?:NE|NW|SE|SW|UPPER|LOWER|LITTLE|GREAT|OLD|NEW|BACK)\b"
    ),
}


def street_keys(names: pd.Series, style: Style) -> pd.Series:
    """Return the names of streets in the form that is compared; empty stays empty."""
    key = folded_chinese if style is Style.CHINESE else western_street_key
    unique = names.unique()
    return names.map(dict(zip(unique, map(key, unique), strict=True))).astype("str")


def name_parts(keys: pd.Series, style: Style) -> pd.DataFrame:
    """Return ``bare`` (the name without its type), ``type`` and ``telling`` of street keys."""
    rows = []
    for key in keys:
        bare, kind = _without_type(key, style)
        telling = " ".join(_TELLING[style].findall(key))
        rows.append((bare, kind, telling))
    return pd.DataFrame(rows, columns=["bare", "type", "telling"], index=keys.index, dtype="str")


def near_names(asked: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Find the names that are the same but for a slip of the pen.

    Same type, same telling words (numbers, directions, great and little), five letters or more, and
    no more than one slip: ABERCROMBEY is ABERCROMBY, but 中山路 is not 中川路.

    Parameters
    ----------
    asked, known : DataFrame
        The columns of `name_parts`; unique index.

    Returns
    -------
    DataFrame
        ``asked``, ``known`` (index labels) and ``likeness`` (0 to 1), sorted.
    """
    found = [pd.DataFrame({"asked": [], "known": [], "likeness": []})]
    groups = dict(iter(known.groupby(["type", "telling"])))
    for label, rows in asked.groupby(["type", "telling"]):
        if label not in groups:
            continue
        theirs = groups[label]
        for start in range(0, len(rows), _ROWS):
            part = rows.iloc[start : start + _ROWS]
            slips = process.cdist(
                part["bare"], theirs["bare"], scorer=OSA.distance, score_cutoff=MOST_SLIPS
            )
            length = np.fmin(
                part["bare"].str.len().to_numpy()[:, None], theirs["bare"].str.len().to_numpy()
            )
            row, column = np.nonzero((slips <= MOST_SLIPS) & (slips * LETTERS_A_SLIP <= length))
            likeness = 1.0 - slips[row, column] / np.fmax(length[row, column], 1)
            found.append(
                pd.DataFrame(
                    {
                        "asked": part.index[row],
                        "known": theirs.index[column],
                        "likeness": likeness,
                    }
                )
            )
    filled = [one for one in found if len(one)] or found[:1]
    return pd.concat(filled, ignore_index=True).sort_values(["asked", "known"], ignore_index=True)


def _without_type(key: str, style: Style) -> tuple[str, str]:
    if style is Style.CHINESE:
        match = _CHINESE_TYPE.search(key)
        return (key[: match.start()], match[0]) if match and match.start() else (key, "")
    words = key.split()
    for place in (-1, -2):
        if len(words) + place > 0 and STREET_TYPES.get(words[place]) == words[place]:
            return " ".join(words[:place] + words[place:][1:]), words[place]
    return key, ""
