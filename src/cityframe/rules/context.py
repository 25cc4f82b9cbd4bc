"""What a rule kind sees of the data while it checks one layer."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.rules.shared_property import shared_property

Geometries = npt.NDArray[np.object_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReceivedTable:
    """One table of a delivery as the source delivered it.

    Attributes
    ----------
    file, table : str
        Path inside the delivery; layer or sheet name, empty for a format with one table.
    columns : mapping of str to str
        Columns as the source names them, with the type that they were read as: one of
        `cityframe.model.layer.AttributeType`, or ``other``. Text formats have text only.
    longest : mapping of str to int
        Characters of the longest text of each text column that has any.
    crs : str
        What the file itself says: an authority code or WKT; empty if it says nothing.
    encoding : str
        Text encoding that it was read with; empty for formats that fix it.
    has_geometry : bool
        Whether it has coordinates.
    central_bounds : tuple of four float or None
        Lowest x and y, highest x and y of the middle half of the coordinates as delivered, so
        that a few that are far out do not count; None if there are none.
    """

    file: str
    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    crs: str = ""
    encoding: str = ""
    has_geometry: bool = False
    central_bounds: tuple[float, float, float, float] | None = None

    @property
    def place(self) -> str:
        """Where to look: the file, and the table inside it."""
        return f"{self.file}, {self.table}" if self.table else self.file


@dataclass(frozen=True)
class Received:
    """What a delivery brought, as it was before it was conformed.

    Attributes
    ----------
    files : mapping of str to int
        Bytes of each file of the delivery, those inside archives too, by its path.
    layers : frozenset of str
        Tables that the delivery holds, as the source names them: layers and sheets, and the
        file's stem for a format with one table.
    tables : tuple of ReceivedTable
        Those of the layer under check.
    crs : str
        CRS that the source's declaration gives for them; empty for none.
    metadata : mapping of str to str
        Facts about the delivery: ``origin``, ``observed_at``, ``landed_at``, ``watermark`` and
        those of the source's declaration.
    """

    files: Mapping[str, int]
    layers: frozenset[str]
    tables: tuple[ReceivedTable, ...] = ()
    crs: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One layer under check, with what its rules may look at beside it.

    Attributes
    ----------
    frame : GeoDataFrame, n rows
        Layer frame; system columns ``uid``, ``source_key``, ``record``, ``delivery`` may be there.
    layers : mapping of str to Layer
        Contracts of all layers.
    as_of : datetime
        Aware; the moment that counts as now. Kinds read no clock.
    previous : GeoDataFrame or None
        The layer in the current release, with ``uid``; None before the first release.
    changes : GeoDataFrame or None
        Change table of the candidate, with ``uid`` and ``change``.
    read_other : callable or None
        Gives the frame of another layer by its name.
    received : Received or None
        What the delivery brought; None for a candidate.
    read_observations : callable or None
        Gives the observations of the sensors: ``stream``, ``time`` (UTC), ``value``,
        ``received``.
    focus : Positions or None
        Rows whose defects are wanted, ascending; None for all. A kind may pass over the others.
    """

    layer: Layer
    frame: gpd.GeoDataFrame
    layers: Mapping[str, Layer]
    as_of: dt.datetime
    previous: gpd.GeoDataFrame | None = None
    changes: gpd.GeoDataFrame | None = None
    read_other: Callable[[str], gpd.GeoDataFrame] | None = None
    received: Received | None = None
    read_observations: Callable[[], pd.DataFrame] | None = None
    focus: Positions | None = None

    def other(self, name: str) -> gpd.GeoDataFrame:
        """Return the frame of another layer, read once; of this layer, the frame under check.

        Raises
        ------
        DeclarationError
            If the run gives no other layers.
        """
        if name == self.layer.name:
            return self.frame
        if self.read_other is None:
            raise DeclarationError(
                found=f"layer {name} is not at hand in this check",
                where=self.layer.name,
                remedy="check with the other layers of the candidate",
            )
        frames, lock = self._others
        with lock:
            if name not in frames:
                frames[name] = self.read_other(name)
            return frames[name]

    @shared_property
    def _others(self) -> tuple[dict[str, gpd.GeoDataFrame], Lock]:
        return {}, Lock()

    def delivered(self) -> Received:
        """Return what the delivery brought.

        Raises
        ------
        DeclarationError
            If no delivery is under check.
        """
        if self.received is None:
            raise DeclarationError(
                found="nothing says what the delivery brought",
                where=self.layer.name,
                remedy="check a delivery",
            )
        return self.received

    def is_provided(self, attribute: str) -> bool:
        """Return whether the delivery has the attribute; an absent one is not null."""
        return attribute in self.frame.columns

    @shared_property
    def geometry(self) -> Geometries:
        """Geometries of all rows, n."""
        return geometries(self.frame)

    @shared_property
    def place_before(self) -> Positions:
        """Position of each row's feature in `previous`, n; -1 for one that was not there."""
        if self.previous is None:
            return np.full(len(self.frame), -1, dtype=np.int64)
        return places_of(self.frame["uid"], self.previous["uid"])

    @property
    def gone(self) -> Positions:
        """Positions in `previous` of the features that are not there any more, sorted."""
        is_gone = np.ones(0 if self.previous is None else len(self.previous), dtype=bool)
        is_gone[self.place_before[self.place_before >= 0]] = False
        return np.flatnonzero(is_gone)

    @shared_property
    def is_valid(self) -> npt.NDArray[np.bool_]:
        """Whether each row has a geometry that is OGC-valid, n."""
        valid: npt.NDArray[np.bool_] = shapely.is_valid(self.geometry)
        return valid

    @shared_property
    def usable(self) -> Positions:
        """Positions of the rows with a valid geometry that is not empty, sorted."""
        return np.flatnonzero(self.is_valid & ~shapely.is_empty(self.geometry))

    @shared_property
    def usable_geometry(self) -> Geometries:
        """Geometries of all rows, n; None where the geometry is not usable."""
        kept = np.full(len(self.frame), None, dtype=object)
        kept[self.usable] = self.geometry[self.usable]
        return kept

    @shared_property
    def breaks_coverage(self) -> npt.NDArray[np.bool_]:
        """Whether each of the `usable` polygons has an edge that the coverage does not match.

        Of two polygons that overlap at least one has; of nested ones it is the inner one. A vertex
        on one side of a shared border only is enough, and there is no tolerance.
        """
        edges = shapely.coverage_invalid_edges(self.geometry[self.usable])
        broken: npt.NDArray[np.bool_] = ~shapely.is_empty(edges)
        return broken

    @shared_property
    def tree(self) -> shapely.STRtree:
        """Tree over `usable_geometry`; it answers with positions in the frame."""
        return shapely.STRtree(self.usable_geometry)

    @shared_property
    def ids(self) -> npt.NDArray[np.object_]:
        """Identity of each row as findings name it, n texts."""
        return feature_ids(self.frame)


def places_of(wanted: Any, among: Any) -> Positions:
    """Return where texts stand among unique others, -1 for none; null stands nowhere."""
    values = pa.array(wanted, type=pa.large_string(), from_pandas=True)
    known = pa.array(among, type=pa.large_string(), from_pandas=True)
    places: Any = pc.index_in(values, value_set=known, skip_nulls=True)
    return np.asarray(places.fill_null(-1), dtype=np.int64)


def geometries(frame: gpd.GeoDataFrame) -> Geometries:
    """Return the geometries of a frame, one a row; all None for a frame without geometry."""
    if "geometry" not in frame.columns:
        return np.full(len(frame), None, dtype=object)
    return np.asarray(frame["geometry"], dtype=object)


def usable_geometries(frame: gpd.GeoDataFrame) -> Geometries:
    """Return the geometries of a frame, None where null, empty or invalid."""
    found = geometries(frame)
    kept = np.full(len(frame), None, dtype=object)
    good = np.flatnonzero(shapely.is_valid(found) & ~shapely.is_empty(found))
    kept[good] = found[good]
    return kept


def feature_ids(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Return how findings name each row: uid, else source key, else record, else position."""
    ids = pd.Series(np.arange(len(frame)).astype(str), index=frame.index, dtype="str")
    for name in ("record", "source_key", "uid"):
        if name in frame.columns:
            texts = frame[name].astype("str").fillna("")
            ids = texts.where(texts != "", ids)
    return ids.to_numpy(dtype=object)
