"""What two sides say of a feature's attribute, told for provenance and for questions."""

import hashlib
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.config.reconciling import GEOMETRY
from cityframe.core.three_way import MergedColumn, MergeRule, Sides
from cityframe.model.layer import Layer

PROVENANCE_COLUMNS = (
    "uid", "attribute", "source", "delivery", "record", "rule", "decided_by", "score", "margin",
    "losers",
)  # fmt: skip
"""One row a feature and attribute about which sources disagreed: who won, by which rule, over whom.

``record`` is that of the delivery whose value won, null where the framework's value stayed.
``decided_by`` is the person who answered, else empty. ``score`` and ``margin`` are null: they
belong to the match. ``losers`` is a JSON list of ``source, delivery, observed_at, value``.
"""
CONFLICT_COLUMNS = (
    "uid", "attribute", "digest", "base_value", "current_value", "current_source", "current_at",
    "incoming_value", "incoming_at",
)  # fmt: skip
"""One row a question which of two values counts; ``digest`` (hexadecimal) is of the two values.

Values are texts: dates in ISO 8601, geometries as WKT, else JSON.
"""

Positions = npt.NDArray[np.intp]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Pairs:
    """Features and what records say of them, k rows each, by position.

    Attributes
    ----------
    before, after : GeoDataFrame
        The feature as it is, and as the record has it: ``uid``, all attributes, geometry.
    said : DataFrame
        ``record`` and ``valid_from`` of the records.
    agreement : ndarray of Agreement
        How the two geometries agree.
    names : tuple of str
        What the delivery brings and a merge decides: attributes, perhaps `GEOMETRY`.
    """

    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame
    said: pd.DataFrame
    agreement: npt.NDArray[np.object_]
    names: tuple[str, ...]

    @property
    def uids(self) -> pd.Series:
        """The features."""
        uids: pd.Series = self.before["uid"]
        return uids


@dataclass(frozen=True)
class Speakers:
    """Who said the current values of one attribute, k rows: source, delivery, when; null: unknown.

    The delivery is not known where the source alone ever spoke of the feature.
    """

    source: pd.Series
    delivery: pd.Series
    observed_at: pd.Series


@dataclass(frozen=True)
class Dispute:
    """Tells what two sides say of one attribute, k pairs.

    Attributes
    ----------
    name : str
        The attribute.
    base : GeoDataFrame, k rows, or None
        What both come from.
    observed : Series of datetime, k
        When the incoming values were so.
    source, delivery : str
        Who speaks.
    """

    name: str
    pairs: Pairs
    base: gpd.GeoDataFrame | None
    speakers: Speakers
    observed: pd.Series
    layer: Layer
    source: str
    delivery: str

    def conflicts(self, at: Positions) -> pd.DataFrame:
        """Return ``pair`` and `CONFLICT_COLUMNS` of some pairs."""
        if not len(at):
            return empty_table(CONFLICT_COLUMNS)
        standing, coming = (
            self._values(side, at) for side in (self.pairs.before, self.pairs.after)
        )
        base = np.full(len(at), None) if self.base is None else self._values(self.base, at)
        return pd.DataFrame(
            {
                "pair": at,
                "uid": self.pairs.uids.iloc[at].to_numpy(),
                "attribute": self.name,
                "digest": [_digest(*two) for two in zip(standing, coming, strict=True)],
                "base_value": base,
                "current_value": standing,
                "current_source": self.speakers.source.iloc[at].to_numpy(),
                "current_at": _moments(self.speakers.observed_at.iloc[at]),
                "incoming_value": coming,
                "incoming_at": _moments(self.observed.iloc[at]),
            }
        )

    def losses(self, side: Sides, column: MergedColumn, decided_by: Texts) -> pd.DataFrame:
        """Return ``pair`` and `PROVENANCE_COLUMNS` of the pairs in which a value lost.

        A source that says what its base said, or follows its own value, argues with nobody.
        """
        won = column.is_taken()
        by_rank_or_age = column.is_by(
            MergeRule.AUTHORITY, MergeRule.OBSERVED_LATER, MergeRule.ANSWER
        )
        is_known = self.speakers.source.notna().to_numpy(dtype=bool)
        current_lost = won & by_rank_or_age & ~side.is_blank & is_known
        is_stale = column.is_by(MergeRule.ONLY_CURRENT_CHANGED)
        at = np.flatnonzero(current_lost | (side.differs & ~won & ~is_stale))
        if not len(at):
            return empty_table(PROVENANCE_COLUMNS)
        wins = won[at]
        source, delivery = (
            said.iloc[at].astype("object").where(said.iloc[at].notna(), "").to_numpy()
            for said in (self.speakers.source, self.speakers.delivery)
        )
        values = [self._column(one, at) for one in (self.pairs.before, self.pairs.after)]
        times = [_moments(one.iloc[at]) for one in (self.speakers.observed_at, self.observed)]
        losers = pd.DataFrame(
            {
                "source": np.where(wins, source, self.source),
                "delivery": np.where(wins, delivery, self.delivery),
                "observed_at": np.where(wins, times[0], times[1]),
                "value": np.where(wins, *(one.astype("object").to_numpy() for one in values)),
            }
        )
        record = self.pairs.said["record"].iloc[at].reset_index(drop=True)
        return pd.DataFrame(
            {
                "pair": at,
                "uid": self.pairs.uids.iloc[at].to_numpy(),
                "attribute": self.name,
                "source": np.where(wins, self.source, source),
                "delivery": np.where(wins, self.delivery, delivery),
                "record": record.where(wins).astype("Int64"),
                "rule": column.rule_names()[at],
                "decided_by": decided_by[at],
                "score": np.nan,
                "margin": np.nan,
                "losers": [f"[{line}]" for line in _json_lines(losers)],
            }
        )

    def _column(self, frame: gpd.GeoDataFrame, at: Positions) -> pd.Series:
        return plain_values(frame, self.name, at, self.layer)

    def _values(self, frame: gpd.GeoDataFrame, at: Positions) -> list[str | None]:
        column = self._column(frame, at)
        lines = column if column.dtype == "str" else column.astype("object").map(_text)
        return [None if pd.isna(line) else str(line) for line in lines]


def plain_values(frame: gpd.GeoDataFrame, name: str, at: Positions, layer: Layer) -> pd.Series:
    """Return some values of an attribute as JSON has them: moments as ISO 8601, outlines as WKT."""
    if name == GEOMETRY:
        digits = max(0, int(np.ceil(-np.log10(layer.precision_m))))
        shapes = frame.geometry.to_numpy()[at]
        return pd.Series(shapely.to_wkt(shapes, rounding_precision=digits), dtype="str")
    column: pd.Series = frame[name].iloc[at].reset_index(drop=True)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("str")
    elif column.dtype.kind == "M":
        column = column.dt.strftime("%Y-%m-%d").astype("str")
    return column


def no_provenance() -> pd.DataFrame:
    """Return ``incoming`` and `PROVENANCE_COLUMNS` without rows."""
    return empty_table(PROVENANCE_COLUMNS).rename(columns={"pair": "incoming"})


def no_conflicts() -> pd.DataFrame:
    """Return ``incoming`` and `CONFLICT_COLUMNS` without rows."""
    return empty_table(CONFLICT_COLUMNS).rename(columns={"pair": "incoming"})


_KINDS = {"pair": "intp", "record": "Int64", "score": "float64", "margin": "float64"}


def empty_table(names: tuple[str, ...]) -> pd.DataFrame:
    """Return ``pair`` and columns by name, without rows."""
    columns = ("pair", *names)
    return pd.DataFrame({name: pd.Series(dtype=_KINDS.get(name, "str")) for name in columns})


def stacked_tables(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables like the first one as one, sorted by pair and attribute."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return parts[0]
    table = pd.concat(filled, ignore_index=True).astype(parts[0].dtypes.to_dict())
    return table.sort_values(["pair", "attribute"], ignore_index=True)


def _digest(current: str | None, incoming: str | None) -> str:
    text = "\x1f".join("\x00" if one is None else one for one in (current, incoming))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _json_lines(frame: pd.DataFrame) -> list[str]:
    text: str = frame.to_json(orient="records", lines=True, force_ascii=False, double_precision=15)
    return text.rstrip("\n").split("\n")


def _text(value: object) -> str | None:
    """Return a value as text: as JSON has it."""
    if pd.isna(value):  # type: ignore[call-overload]
        return None
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _moments(column: pd.Series) -> Texts:
    texts = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("object")
    result: Texts = texts.where(texts.notna(), None).to_numpy()
    return result
