"""The records of a delivery as reconciliation reads them."""

from dataclasses import dataclass, replace
from functools import cached_property

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.source import Feed, JoinGeometry, NoGeometry
from cityframe.core.frames import empty_frame, key_text, with_column_types
from cityframe.model.layer import GeometryType, Layer
from cityframe.reconcile.current import digests_of


@dataclass(frozen=True)
class Records:
    """The conformed records of one layer in one delivery.

    Attributes
    ----------
    frame : GeoDataFrame, n rows
        Layer frame with the provided attributes and the system columns.
    key : Series of str, n
        `key_text` of the layer's key; null where a part is null or not provided.
    uid : Series of str, n
        The feature that a record names by its uid, else null.
    source_id : Series of str, n
        The source's own name of a record, else null.
    attributes : tuple of str
        The contract's attributes that the delivery provides.
    has_geometry : bool
        Whether it provides geometry.
    digests : ndarray of bytes or None
        Row digests; None where the delivery does not provide whole rows.
    held : frozenset of int
        Numbers of the records that were returned before.
    """

    frame: gpd.GeoDataFrame
    layer: Layer
    key: pd.Series
    uid: pd.Series
    source_id: pd.Series
    attributes: tuple[str, ...]
    has_geometry: bool
    digests: npt.NDArray[np.object_] | None
    held: frozenset[int] = frozenset()

    @classmethod
    def read(
        cls,
        incoming: gpd.GeoDataFrame,
        layer: Layer,
        feed: Feed,
        held: frozenset[int] = frozenset(),
    ) -> "Records":
        """Return the records of a conformed frame; what is absent is not null."""
        frame = with_column_types(incoming.reset_index(drop=True), layer)
        if "geometry" not in frame.columns:
            frame = without_geometry(frame, layer)
        attributes = tuple(name for name in layer.attribute_names if name in frame.columns)
        has_geometry = provides_geometry(feed, layer)
        is_whole = len(attributes) == len(layer.attributes) and (
            has_geometry or layer.geometry is GeometryType.NONE
        )
        nothing = pd.Series(np.nan, index=frame.index, dtype="str")
        has_key = bool(layer.key) and set(layer.key) <= set(attributes)
        return cls(
            frame=frame,
            layer=layer,
            key=key_text(frame, layer.key) if has_key else nothing,
            uid=frame["uid"] if "uid" in frame.columns else nothing,
            source_id=frame["source_id"] if "source_id" in frame.columns else nothing,
            attributes=attributes,
            has_geometry=has_geometry,
            digests=digests_of(frame, layer) if is_whole else None,
            held=held,
        )

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def is_held(self) -> npt.NDArray[np.bool_]:
        """Whether a record was returned before: n values."""
        is_held: npt.NDArray[np.bool_] = self.frame["record"].isin(self.held).to_numpy(dtype=bool)
        return is_held

    @cached_property
    def is_repeated(self) -> npt.NDArray[np.bool_]:
        """Whether a later record has the key of one, or without a key the source's id: n values.

        A record that was returned repeats none, and one that names a feature has no need of a name.
        """
        result = np.zeros(len(self), dtype=bool)
        has_uid = self.uid.notna()
        for name in (self.source_id.mask(self.key.notna() | has_uid), self.key.mask(has_uid)):
            named = np.flatnonzero(name.notna().to_numpy() & ~self.is_held)
            result[named] |= name.iloc[named].duplicated(keep="last").to_numpy()
        return result

    @cached_property
    def subject(self) -> pd.Series:
        """The lasting name of each record, on the index of the frame; as of `subjects`."""
        return self.subjects(np.arange(len(self)))

    def subjects(self, at: npt.NDArray[np.intp]) -> pd.Series:
        """Return the lasting names of some records, on their positions.

        The source's id, else the key, else the content.
        """
        subject = ("id " + self.source_id.iloc[at]).fillna("key " + self.key.iloc[at])
        unnamed = at[subject.isna().to_numpy()]
        if len(unnamed):
            # whole rows: their content is what was digested when they were read
            said = (
                self.content_digests(self.frame.iloc[unnamed])
                if self.digests is None
                else self.digests[unnamed]
            )
            content = pd.Series(["content " + bytes(one).hex() for one in said], index=unnamed)
            subject = subject.fillna(content)
        return subject

    def content_digests(self, frame: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
        """Return digests of a layer frame's rows over only what the delivery provides."""
        provided = tuple(a for a in self.layer.attributes if a.name in self.attributes)
        content = frame if self.has_geometry else without_geometry(frame, self.layer)
        return digests_of(content, replace(self.layer, attributes=provided))

    def merged(self, at: npt.NDArray[np.intp], before: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the rows that some records make of the features that they speak of.

        Parameters
        ----------
        at : ndarray of int, k
            Positions of the records.
        before : GeoDataFrame, k rows
            The features as they are, with ``uid``.

        Returns
        -------
        GeoDataFrame, k rows
            ``uid``, all attributes, geometry. An attribute that the delivery does not provide
            keeps its value, and so does a key attribute that is null in a record: a record
            without a key was matched by its place, and says nothing about the key.
        """
        said = self.frame.iloc[at].reset_index(drop=True)
        columns: dict[str, pd.Series] = {"uid": before["uid"]}
        for name in self.layer.attribute_names:
            columns[name] = said[name] if name in self.attributes else before[name]
            if name in self.layer.key:
                columns[name] = columns[name].where(columns[name].notna(), before[name])
        geometry = said.geometry if self.has_geometry else before.geometry
        return gpd.GeoDataFrame(columns, geometry=geometry, crs=self.layer.crs)

    def whole(self, at: npt.NDArray[np.intp]) -> gpd.GeoDataFrame:
        """Return some records as whole rows; what the delivery does not provide is null."""
        said = self.frame.iloc[at].reset_index(drop=True)
        nothing = empty_frame(self.layer)
        columns = {
            attribute.name: said[attribute.name]
            if attribute.name in self.attributes
            else nothing[attribute.name].reindex(said.index)
            for attribute in self.layer.attributes
        }
        content = said if self.has_geometry else without_geometry(said, self.layer)
        return gpd.GeoDataFrame(columns, geometry=content.geometry, crs=self.layer.crs)


def provides_geometry(feed: Feed, layer: Layer) -> bool:
    """Tell whether a feed brings geometry to a layer."""
    if layer.geometry is GeometryType.NONE or isinstance(feed.geometry, NoGeometry):
        return False
    return not (isinstance(feed.geometry, JoinGeometry) and feed.geometry.take == "feature")


def without_geometry(frame: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Return the frame with all geometries null."""
    return gpd.GeoDataFrame(
        pd.DataFrame(frame).drop(columns=["geometry"], errors="ignore"),
        geometry=gpd.GeoSeries([None] * len(frame), index=frame.index, crs=layer.crs),
        crs=layer.crs,
    )
