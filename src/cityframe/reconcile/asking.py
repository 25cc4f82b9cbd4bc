"""Questions as a table: what is asked, the two best candidates, what speaks for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.model.layer import Layer
from cityframe.model.question import (
    EVIDENCE,
    QUESTION_COLUMNS,
    Action,
    QuestionKind,
    question_id,
    subject_of_value,
)
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.records import Records

Positions = npt.NDArray[np.intp]
Texts = npt.NDArray[np.object_]

_SAME_FROM = 0.5
"""A candidate that scores less is less likely than not the feature: nobody is proposed."""
_DIGITS = 4


@dataclass(frozen=True)
class Asker:
    """Makes the questions about one layer of a delivery.

    Attributes
    ----------
    records : Records
        Those of the delivery.
    current : CurrentLayer
        The layer as it stands.
    source, delivery : str
        Who delivered, and what.
    """

    records: Records
    current: CurrentLayer
    source: str
    delivery: str

    def about_matches(self, *candidates: pd.DataFrame) -> gpd.GeoDataFrame:
        """Return the questions which feature a record is; one row a record.

        Parameters
        ----------
        candidates : DataFrame, k rows
            ``incoming, current`` (positions in records and index), ``kind``, ``score``, ``group``
            (records with the same number in one table are asked about together), and any of
            `EVIDENCE`. A record stands in one table only.

        Returns
        -------
        GeoDataFrame
            `QUESTION_COLUMNS`; in the order of the records.
        """
        several = [part.assign(table=at) for at, part in enumerate(candidates) if len(part)]
        if not several:
            return self._table(pd.DataFrame())
        pairs = pd.concat(several, ignore_index=True)
        group = pairs.groupby(["table", "group"]).ngroup()
        uids = self.current.index()["uid"].to_numpy()[pairs["current"].to_numpy(dtype=np.intp)]
        asked = two_best(pairs.assign(group=group, uid=uids))
        for place in (1, 2):
            asked = self._with_evidence(asked, place)
        asked["proposed"] = _proposed(asked)
        return self._table(asked)

    def about_far_ids(self, incoming: Positions, current: Positions) -> gpd.GeoDataFrame:
        """Return the questions about records whose id or key is that of a feature elsewhere.

        Parameters
        ----------
        incoming, current : ndarray of int, k
            Positions of the pairs in records and index.
        """
        return self.about_matches(
            pd.DataFrame(
                {
                    "incoming": incoming,
                    "current": current,
                    "kind": QuestionKind.IMPLAUSIBLE.value,
                    "score": np.nan,
                    "group": np.arange(len(incoming)),
                }
            )
        )

    def about_values(self, conflicts: pd.DataFrame) -> gpd.GeoDataFrame:
        """Return the questions which value of an attribute counts; one row a feature and attribute.

        Parameters
        ----------
        conflicts : DataFrame, k rows
            ``incoming`` (position of the record), ``uid``, ``attribute``, ``digest`` (of the
            incoming value, in hexadecimal), and any of `EVIDENCE`: ``base_value``,
            ``current_value``, ``incoming_value``, ``current_source``, ….
        """
        if conflicts.empty:
            return self._table(pd.DataFrame())
        subjects = map(subject_of_value, conflicts["uid"], conflicts["digest"])
        asked = conflicts.assign(
            kind=QuestionKind.CONFLICT.value,
            group=np.arange(len(conflicts)),
            subject=list(subjects),
            uid_1=conflicts["uid"],
            candidates=conflicts["uid"],
            proposed=Action.KEEP.value,
        )
        return self._table(asked.reset_index(drop=True))

    def _with_evidence(self, asked: pd.DataFrame, place: int) -> pd.DataFrame:
        """Add what place and attributes of the first or second candidates say."""
        has_one = np.flatnonzero((asked[f"uid_{place}"] != "").to_numpy())
        uids = asked[f"uid_{place}"].iloc[has_one]
        several = pd.Index(uids).unique()
        rows = self.current.rows(several.tolist())
        before = rows.iloc[several.get_indexer(pd.Index(uids))].reset_index(drop=True)
        at = asked["incoming"].to_numpy(dtype=np.intp)[has_one]
        found = pair_evidence(before, self.records.merged(at, before), self.records.layer)
        named = found.add_suffix(f"_{place}").set_axis(asked.index[has_one])
        more = [name for name in named if name not in asked]
        return asked.join(named[more])

    def _table(self, asked: pd.DataFrame) -> gpd.GeoDataFrame:
        """Complete rows with ``incoming, kind, group`` to a question table."""
        frame, layer = self.records.frame, self.records.layer
        if asked.empty:
            return empty_questions(layer.crs)
        about = frame.iloc[asked["incoming"].to_numpy(dtype=np.intp)].reset_index(drop=True)
        rows = asked.reset_index(drop=True)
        if "subject" not in rows:
            rows["subject"] = self.records.subject.iloc[rows["incoming"]].to_numpy()
        rows = rows.assign(
            question=_ids(rows, layer.name, self.source),
            layer=layer.name,
            source=self.source,
            delivery=self.delivery,
            record=about["record"],
            source_key=about["source_key"],
            evidence=evidence_json(rows),
        )
        texts = [name for name in QUESTION_COLUMNS if name not in (*_NUMBERS, "geometry")]
        for name in texts:
            rows[name] = rows[name].astype("str").fillna("") if name in rows else ""
        for name in ("score_1", "score_2"):
            rows[name] = rows[name].astype("float64") if name in rows else np.nan
        order = np.argsort(rows["incoming"].to_numpy(), kind="stable")
        table = gpd.GeoDataFrame(
            rows[[name for name in QUESTION_COLUMNS if name != "geometry"]],
            geometry=gpd.GeoSeries(about.geometry.to_numpy(), crs=layer.crs),
            crs=layer.crs,
        ).iloc[order]
        return (
            table[list(QUESTION_COLUMNS)].astype(dict.fromkeys(texts, "str")).reset_index(drop=True)
        )


_NUMBERS = {"record": "Int64", "score_1": "float64", "score_2": "float64"}


def empty_questions(crs: str | None) -> gpd.GeoDataFrame:
    """Return a question table without rows."""
    columns: dict[str, Any] = {
        name: pd.Series(dtype=_NUMBERS.get(name, "str"))
        for name in QUESTION_COLUMNS
        if name != "geometry"
    }
    table = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
    return table[list(QUESTION_COLUMNS)]


def concat_questions(parts: Sequence[gpd.GeoDataFrame], crs: str | None) -> gpd.GeoDataFrame:
    """Return all questions in one table, in the order of the parts."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return empty_questions(crs)
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), geometry="geometry", crs=crs)


def two_best(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the two best candidates of each record.

    Parameters
    ----------
    pairs : DataFrame, k rows
        ``incoming, uid, kind, score, group`` and any of `EVIDENCE`.

    Returns
    -------
    DataFrame, a row a record
        ``incoming, kind, group, uid_1, score_1, uid_2, score_2``, ``candidates`` (all features of
        the group, best first, between commas), evidence with ``_1`` or ``_2`` to its name; sorted
        by ``incoming``. Where scores are equal the smaller uid is first.
    """
    told = [name for name in EVIDENCE if name in pairs]
    best_first = pairs.sort_values(["score", "uid"], ascending=[False, True], kind="stable")
    place = best_first.groupby("incoming").cumcount()
    sides: list[pd.DataFrame | pd.Series] = []
    for number in (1, 2):
        side = best_first[place == number - 1].set_index("incoming")
        sides.append(side[["uid", "score", *told]].add_suffix(f"_{number}"))
    records = best_first.drop_duplicates("incoming").set_index("incoming")[["kind", "group"]]
    of_group = best_first.drop_duplicates(["group", "uid"]).groupby("group")["uid"].agg(",".join)
    asked = records.join(sides).assign(candidates=records["group"].map(of_group))
    for number in (1, 2):
        asked[f"uid_{number}"] = asked[f"uid_{number}"].astype("str").fillna("")
    return asked.sort_index().reset_index()


def pair_evidence(before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, layer: Layer) -> pd.DataFrame:
    """Return what place and attributes say of pairs of rows.

    Parameters
    ----------
    before, after : GeoDataFrame, k rows
        All attributes and geometry in the layer's CRS, by position.

    Returns
    -------
    DataFrame, k rows
        ``distance_m`` of the centres; of areas ``overlap_share`` (of the smaller one) and ``iou``;
        ``equal`` and ``differing``: attributes between commas, those that are null on both sides
        in neither. RangeIndex.
    """
    old, new = before.geometry.to_numpy(), after.geometry.to_numpy()
    found = pd.DataFrame(
        {"distance_m": shapely.distance(shapely.centroid(old), shapely.centroid(new))}
    )
    if layer.geometry.single == "Polygon":
        sides = [shapely.make_valid(side) for side in (old, new)]
        both = shapely.area(shapely.intersection(*sides))
        sizes = [shapely.area(side) for side in sides]
        with np.errstate(divide="ignore", invalid="ignore"):
            found["overlap_share"] = both / np.minimum(*sizes)
            found["iou"] = both / (sizes[0] + sizes[1] - both)
        found = found.replace([np.inf, -np.inf], np.nan)
    equal, differing = (np.full(len(found), "", dtype=object) for _ in range(2))
    for name in layer.attribute_names:
        one, other = (side[name].reset_index(drop=True) for side in (before, after))
        is_there = (one.notna() | other.notna()).to_numpy()
        is_equal = (one == other).fillna(False).to_numpy(dtype=bool)
        equal[is_there & is_equal] += f",{name}"
        differing[is_there & ~is_equal] += f",{name}"
    return found.assign(
        equal=pd.Series(equal, dtype="str").str[1:],
        differing=pd.Series(differing, dtype="str").str[1:],
    )


def evidence_json(rows: pd.DataFrame) -> Texts:
    """Return what is known of each row under names of `EVIDENCE` as a JSON object."""
    names = [f"{name}{place}" for name in EVIDENCE for place in ("", "_1", "_2")]
    told = rows[[name for name in names if name in rows]]
    if told.columns.empty:
        return np.full(len(rows), "{}", dtype=object)
    text: str = told.to_json(
        orient="records", lines=True, force_ascii=False, double_precision=_DIGITS, date_format="iso"
    )
    return np.array(text.rstrip("\n").split("\n"), dtype=object)


def _ids(rows: pd.DataFrame, layer: str, source: str) -> Texts:
    """Return the id of each row's question; the rows of a group share one."""
    group = pd.factorize(rows["group"])[0]
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    subjects = np.split(rows["subject"].to_numpy(dtype=object)[order], first[1:])
    heads = rows.iloc[order[first]]
    attributes = heads["attribute"] if "attribute" in rows else [""] * len(heads)
    made = [
        question_id(layer, source, said, QuestionKind(kind), attribute)
        for said, kind, attribute in zip(subjects, heads["kind"], attributes, strict=True)
    ]
    return np.array(made, dtype=object)[group]


def _proposed(asked: pd.DataFrame) -> Texts:
    """Propose what is more likely than not; nothing where two candidates are equally good."""
    is_best = ~(asked["score_1"] <= asked["score_2"]) & (asked["score_1"] >= _SAME_FROM)
    is_tie = (asked["score_1"] == asked["score_2"]) & (asked["score_1"] >= _SAME_FROM)
    proposed: Texts = np.select(
        [
            asked["kind"] == QuestionKind.COMPLEX,
            # an id that lies elsewhere was most likely given anew
            asked["kind"] == QuestionKind.IMPLAUSIBLE,
            is_best,
            is_tie,
        ],
        [Action.REPLACED.value, Action.OTHER.value, Action.SAME.value, ""],
        default=Action.OTHER.value,
    ).astype(object)
    return proposed
