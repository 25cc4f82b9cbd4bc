"""Join records to features of the framework by key or address."""

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa

from cityframe.config.source import JoinGeometry
from cityframe.conform.columns import Columns
from cityframe.conform.problems import GeometryArray, Problem, RecordProblem, Records, stopped
from cityframe.conform.values import ArrowArray, arrow_values, as_text, pc
from cityframe.errors import DeclarationError
from cityframe.model.fate import Fate

_SEPARATOR = "\x1f"
_LISTED = 20


@dataclass(frozen=True)
class Joined:
    """Records beside the features that they name.

    Attributes
    ----------
    features : GeoDataFrame
        The joined layer.
    rows : ndarray of int, n records
        Row of the feature of each record, the first of several; -1 for none.
    problems : tuple of Problem
        Records that name no feature, or several: they wait.
    """

    features: gpd.GeoDataFrame
    rows: Records
    problems: tuple[Problem, ...]

    def shapes(self) -> GeometryArray:
        """Return the geometry of each record's feature; null for none."""
        shapes: GeometryArray = np.full(len(self.rows), None, dtype=object)
        is_found = self.rows >= 0
        shapes[is_found] = self.features.geometry.to_numpy()[self.rows[is_found]]
        return shapes

    def certain_rows(self) -> Records:
        """Return ``rows`` with -1 for the records that wait."""
        rows = self.rows.copy()
        rows[stopped(self.problems, len(rows))] = -1
        return rows


def join_features(
    columns: Columns,
    join: JoinGeometry,
    framework_layer: Callable[[str], gpd.GeoDataFrame],
    *,
    where: str,
) -> Joined:
    """Find for each record the one feature that has its key or address.

    Texts are compared as they stand (trimmed, NFC), or with ``normalise`` without case, white
    space and width; numbers by their digits.

    Raises
    ------
    DeclarationError
        If the layer lacks an attribute that is joined on.
    """
    features = framework_layer(join.layer).reset_index(drop=True)
    lacking = [name for name in join.on if name not in features.columns]
    if lacking:
        raise DeclarationError(
            where=f"{where}, geometry.on",
            found=f"layer {join.layer} has no attribute {lacking[0]!r}",
            expected="attributes of the joined layer",
        )
    count = len(columns.frame)
    if not all(columns.has(column) for column in join.on.values()):
        return Joined(features, np.full(count, -1, dtype=np.int64), ())
    theirs = _key(features[list(join.on)], join)
    ours = _key(columns.frame[list(join.on.values())], join)
    named = theirs.dropna()
    first = named.drop_duplicates()
    several = named[named.duplicated(keep=False)]
    rows = np.append(first.index.to_numpy(), -1)[pd.Index(first).get_indexer(ours)]
    rows[ours.isna()] = -1
    is_ambiguous = ours.isin(several.unique()).to_numpy() & ours.notna().to_numpy()
    problems = [
        *_unmatched(np.flatnonzero(rows < 0), ours, join),
        *_ambiguous(np.flatnonzero(is_ambiguous), ours, several, features, join),
    ]
    return Joined(features, rows, tuple(problems))


def _key(frame: pd.DataFrame, join: JoinGeometry) -> pd.Series:
    parts = [as_text(arrow_values(frame[name])) for name in frame.columns]
    if join.normalise:
        parts = [_normalised(part) for part in parts]
    key = pc.binary_join_element_wise(*parts, pa.scalar(_SEPARATOR, pa.large_string()))
    return pd.Series(key.to_pandas(), dtype="str")


def _normalised(text: ArrowArray) -> ArrowArray:
    folded = pc.utf8_lower(pc.utf8_normalize(text, form="NFKC"))
    return pc.replace_substring_regex(folded, r"[\s\p{Z}]+", "")


def _unmatched(records: Records, keys: pd.Series, join: JoinGeometry) -> list[Problem]:
    if not len(records):
        return []
    found = [f"{_shown(key, join)} in layer {join.layer}: none" for key in keys.iloc[records]]
    return [
        RecordProblem(
            "intake.unmatched-join",
            records,
            found,
            f"one feature of layer {join.layer}",
            Fate.WAITING,
            found_zh=[
                f"{_shown(key, join, '无 {}', ' 或 ')}：图层 {join.layer} 中没有要素"
                for key in keys.iloc[records]
            ],
            expected_zh=f"图层 {join.layer} 的一个要素",
        )
    ]


def _ambiguous(
    records: Records,
    keys: pd.Series,
    several: pd.Series,
    features: gpd.GeoDataFrame,
    join: JoinGeometry,
) -> list[Problem]:
    if not len(records):
        return []
    asked = several[several.isin(keys.iloc[records].unique())]
    uids = features["uid"].loc[asked.index].groupby(asked).agg(list)
    candidates = [uids[key] for key in keys.iloc[records]]
    found = [
        f"{_shown(key, join)} in layer {join.layer}: {len(uid)} features"
        for key, uid in zip(keys.iloc[records], candidates, strict=True)
    ]
    other = [",".join(uid[:_LISTED]) for uid in candidates]
    return [
        RecordProblem(
            "intake.ambiguous-join",
            records,
            found,
            f"one feature of layer {join.layer}",
            Fate.WAITING,
            other,
            found_zh=[
                f"{_shown(key, join)}：图层 {join.layer} 中有 {len(uid)} 个要素"
                for key, uid in zip(keys.iloc[records], candidates, strict=True)
            ],
            expected_zh=f"图层 {join.layer} 的一个要素",
        )
    ]


def _shown(key: object, join: JoinGeometry, lacking: str = "no {}", either: str = " or ") -> str:
    if not isinstance(key, str):
        return lacking.format(either.join(join.on.values()))
    pairs = zip(join.on, key.split(_SEPARATOR), strict=True)
    return ", ".join(f"{name} {value!r}" for name, value in pairs)
