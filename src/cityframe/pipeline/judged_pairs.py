"""Pairs of polygons that people judged, with what a scorer sees of them.

The judged pairs are a CSV with ``id_existing``, ``id_new`` (names of a feature before and after)
and ``match`` (true or false).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import CRS

from cityframe.connectors import read_file
from cityframe.core.agreement import Tolerance
from cityframe.core.crs import is_same_crs
from cityframe.core.displacement import Geometries
from cityframe.core.matching.pair_features import FEATURE_COLUMNS
from cityframe.core.matching.polygons import candidate_features
from cityframe.errors import DeclarationError

PAIR_COLUMNS = ("id_existing", "id_new", "match")

_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_NAMED = 5


@dataclass(frozen=True)
class Side:
    """One survey: a layer of a file.

    Attributes
    ----------
    ids, places : Series of str, n
        What the judged pairs call a feature, and where it lies; places are grouped by it.
    geometry : ndarray of geometries, n
        In a projected CRS in metres.
    """

    name: str
    ids: pd.Series
    places: pd.Series
    geometry: Geometries
    crs: CRS


@dataclass(frozen=True)
class Judged:
    """Judged pairs with what a scorer sees of them.

    Attributes
    ----------
    pairs : DataFrame, n rows
        ``id_existing``, ``id_new``, ``match``, ``place``, ``is_near`` (within reach, so that it can
        be a match at all), and the features; NaN where it is not near.
    left_out : int
        Pairs that name an id which no file has.
    """

    pairs: pd.DataFrame
    left_out: int


def read_side(spec: str, id_column: str, place_column: str) -> Side:
    """Read ``FILE`` or ``FILE:layer``.

    Raises
    ------
    DeclarationError
        If there is no such file or column, no geometry, or the CRS is not projected in metres.
    """
    path, _, layer = (spec, "", "") if Path(spec).exists() else spec.rpartition(":")
    source = read_file(Path(path or layer), layer if path else "")
    missing = [name for name in (id_column, place_column) if name not in source.frame.columns]
    if missing:
        raise _refused(
            where=spec,
            found=f"no column {', '.join(missing)}",
            expected=f"one of {', '.join(source.frame.columns)}",
        )
    if source.geometry is None or source.crs is None:
        raise _refused(
            where=spec,
            found="no geometry or no CRS",
            expected="polygons in a projected CRS in metres",
        )
    crs = CRS.from_user_input(source.crs)
    if not crs.is_projected or crs.axis_info[0].unit_conversion_factor != 1:
        raise _refused(
            where=spec, found=f"the CRS {crs.name}", expected="a projected CRS in metres"
        )
    ids = source.frame[id_column].astype("str")
    if ids.duplicated().any():
        several = ids[ids.duplicated()].unique()[:_NAMED]
        raise _refused(
            where=spec,
            found=f"ids that stand twice: {', '.join(several)}",
            expected="ids that are unique",
        )
    return Side(spec, ids, source.frame[place_column].astype("str"), source.geometry, crs)


def read_pairs(path: Path) -> pd.DataFrame:
    """Read judged pairs: `PAIR_COLUMNS`, ``match`` as bool.

    Raises
    ------
    DeclarationError
        If there is no such file or column, or a value of ``match`` is neither true nor false.
    """
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise _refused(
            where=str(path), found=f"{type(error).__name__}: {error}", expected="a CSV"
        ) from error
    missing = [name for name in PAIR_COLUMNS if name not in table.columns]
    if missing:
        raise _refused(
            where=str(path),
            found=f"no column {', '.join(missing)}",
            expected=f"the columns {', '.join(PAIR_COLUMNS)}",
        )
    pairs = table[list(PAIR_COLUMNS)]
    match = pairs["match"].str.strip().str.casefold().map(_TRUTH)
    if match.isna().any():
        line = int(np.flatnonzero(match.isna())[0])
        raise _refused(
            where=f"{path}:{line + 2}",
            found=f"match is {pairs['match'].iloc[line]!r}",
            expected="true or false",
        )
    return pairs.assign(match=match.astype(bool))


def judged_pairs(
    pairs: pd.DataFrame,
    surveys: Sequence[tuple[Side, Side]],
    tolerance: Tolerance,
    *,
    skip_unknown: bool = False,
) -> Judged:
    """Bring judged pairs together with the features of their polygons.

    Parameters
    ----------
    surveys : sequence of (before, after)
        Surveys that were compared; a pair belongs to the one that has both of its ids.
    skip_unknown : bool
        Leave out pairs with an id that no survey has.

    Raises
    ------
    DeclarationError
        If the two sides of a survey differ in their CRS, an id is unknown, or the pairs that
        remain are all matches, all none, or of one place.
    """
    found = [_featured(pairs, before, after, tolerance) for before, after in surveys]
    known = pd.concat(found).sort_index()
    left_out = pairs[~pairs.index.isin(known.index)]
    if len(left_out) and not skip_unknown:
        ids = pd.concat([left_out["id_existing"], left_out["id_new"]])
        there = pd.concat([side.ids for survey in surveys for side in survey])
        unknown = ids[~ids.isin(there)].unique()
        named = unknown if len(unknown) else ids.unique()
        raise _refused(
            where="the judged pairs",
            found=f"{len(left_out)} pairs whose ids no survey has: {', '.join(named[:_NAMED])}",
            expected="ids of the files",
            remedy="name the right files, or leave such pairs out with --skip-unknown",
        )
    if known["match"].all() or not known["match"].any():
        raise _refused(
            where="the judged pairs",
            found=f"{len(known)} pairs, {'all' if known['match'].any() else 'none'} a match",
            expected="matches, and pairs that are none",
        )
    if len(known["place"].unique()) == 1:
        raise _refused(
            where="the judged pairs",
            found="one place",
            expected="at least two, to test on one what was learned on another",
        )
    return Judged(known, len(left_out))


def _featured(pairs: pd.DataFrame, before: Side, after: Side, tolerance: Tolerance) -> pd.DataFrame:
    if not is_same_crs(before.crs, after.crs):
        raise _refused(
            where=f"{before.name}, {after.name}",
            found=f"{before.crs.name} and {after.crs.name}",
            expected="one CRS",
        )
    own = pairs[pairs["id_existing"].isin(before.ids) & pairs["id_new"].isin(after.ids)]
    features = candidate_features(before.geometry, after.geometry, tolerance)
    features["id_existing"] = before.ids.to_numpy()[features.pop("before")]
    features["id_new"] = after.ids.to_numpy()[features.pop("after")]
    place = own["id_existing"].map(pd.Series(before.places.to_numpy(), index=before.ids))
    merged = own.assign(place=place).merge(features, on=["id_existing", "id_new"], how="left")
    merged = merged.set_axis(own.index)
    return merged.assign(is_near=merged[FEATURE_COLUMNS[0]].notna())


def _refused(*, where: str, found: str, expected: str, remedy: str = "mend it") -> DeclarationError:
    return DeclarationError(where=where, found=found, expected=expected, remedy=remedy)
