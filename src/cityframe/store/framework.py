"""The framework: all layers, all releases, both time axes, in one GeoPackage."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import sqlalchemy as sa

from cityframe.core.frames import empty_frame, key_text, with_column_types
from cityframe.errors import DeclarationError
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.release import LayerVersion, Release
from cityframe.store import contract as contract_form
from cityframe.store.geopackage import geometry_from_blobs, spatial_index
from cityframe.store.release_rows import LayerState, release_of, version_of
from cityframe.store.sqlite import sqlite_engine
from cityframe.store.tables import (
    LAYER,
    RELEASE,
    RELEASE_LAYER,
    history_name,
    history_table,
)

Bbox = tuple[float, float, float, float]
BATCH_ROWS = 100_000
_EMPTY_DIGEST = ""


class Framework:
    """Read the framework store.

    Parameters
    ----------
    path : Path
        The GeoPackage; it need not exist: the framework is then empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether a release was ever committed here."""
        # a process killed at its very first commit leaves a file without tables
        return self.path.exists() and sa.inspect(self._engine()).has_table("cf_release")

    # releases

    def releases(self) -> tuple[Release, ...]:
        """Return all releases, oldest first."""
        if not self.exists:
            return ()
        with self._engine().connect() as connection:
            rows = connection.execute(sa.select(RELEASE).order_by(RELEASE.c.number)).mappings()
            layers = connection.execute(
                sa.select(RELEASE_LAYER).order_by(RELEASE_LAYER.c.release, RELEASE_LAYER.c.layer)
            ).mappings()
            by_release: dict[int, list[LayerVersion]] = {}
            for layer in layers:
                by_release.setdefault(layer["release"], []).append(version_of(layer))
            return tuple(release_of(row, by_release.get(row["number"], [])) for row in rows)

    def current(self) -> Release | None:
        """Return the newest release, or None."""
        releases = self.releases()
        return releases[-1] if releases else None

    def release(self, number: int) -> Release:
        """Return one release.

        Raises
        ------
        DeclarationError
            If there is no such release.
        """
        releases = self.releases()
        if not 1 <= number <= len(releases):
            raise DeclarationError(
                found=f"no release {number}",
                expected=f"1 to {len(releases)}" if releases else "a release; there is none yet",
            )
        return releases[number - 1]

    def released_by(self, cycle: str) -> Release | None:
        """Return the release that a cycle made, or None."""
        return next((one for one in self.releases() if one.cycle == cycle), None)

    # contracts and digests

    def contracts(self) -> dict[str, Layer]:
        """Return the contracts of all stored layers."""
        if not self.exists:
            return {}
        with self._engine().connect() as connection:
            rows = connection.execute(sa.select(LAYER).order_by(LAYER.c.name)).mappings()
            return {row["name"]: contract_form.read(row["contract"]) for row in rows}

    def contract(self, name: str) -> Layer:
        """Return the contract of a stored layer.

        Raises
        ------
        DeclarationError
            If no release has this layer.
        """
        contracts = self.contracts()
        if name not in contracts:
            raise DeclarationError(
                where=str(self.path),
                found=f"no layer {name!r}",
                expected=f"one of {', '.join(contracts) or 'none yet'}",
            )
        return contracts[name]

    def state(self, layer: str) -> LayerState:
        """Return a layer's newest version and sum; zero features if it was never released."""
        empty = LayerState(LayerVersion(layer, 0, _EMPTY_DIGEST, {}), 0)
        if not self.exists:
            return empty
        query = (
            sa.select(RELEASE_LAYER)
            .where(RELEASE_LAYER.c.layer == layer)
            .order_by(RELEASE_LAYER.c.release.desc())
            .limit(1)
        )
        with self._engine().connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return empty
        return LayerState(version_of(row), int.from_bytes(row["sum"], "little"))

    def current_digests(self, layer: Layer, uids: Sequence[str]) -> list[bytes]:
        """Return the digests of current features, in the order of the uids."""
        frame = self._rows_by_uid(layer, uids, ["uid", "digest"])
        digests = dict(zip(frame["uid"], frame["digest"], strict=True))
        return [digests[uid] for uid in uids]

    # features

    def index(self, layer: Layer) -> pd.DataFrame:
        """Return ``uid, key, digest`` of all current features; RangeIndex, sorted by uid."""
        columns = {"uid": pd.Series(dtype="str"), "key": pd.Series(dtype="str")}
        if not self._has(layer):
            return pd.DataFrame({**columns, "digest": pd.Series(dtype="object")})
        names = ", ".join(f'"{name}"' for name in layer.key)
        sql = (
            f"SELECT uid, digest{', ' + names if names else ''} "
            f'FROM "{history_name(layer.name)}" '
            "WHERE release_to IS NULL AND valid_to IS NULL ORDER BY uid"
        )
        table = pyogrio.read_dataframe(self.path, sql=sql, use_arrow=True, read_geometry=False)
        table = with_column_types(table, layer)
        return pd.DataFrame(
            {
                "uid": table["uid"].astype("str"),
                "key": key_text(table, layer.key),
                "digest": table["digest"].map(bytes),
            }
        )

    def rows(self, layer: Layer, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return current features by uid: ``uid, delivery, valid_from``, attributes, geometry.

        Raises
        ------
        DeclarationError
            If a uid is not current.
        """
        names = ["uid", "delivery", "valid_from", "digest", *layer.attribute_names]
        if layer.geometry is not GeometryType.NONE:
            names.append("geom")
        if not len(uids):
            return empty_frame(layer, ("uid", "delivery", "valid_from", "digest"))
        frame = self._rows_by_uid(layer, uids, names)
        found = frame.set_index("uid")
        missing = [uid for uid in uids if uid not in found.index]
        if missing:
            raise DeclarationError(
                where=f"layer {layer.name}", found=f"uid {missing[0]} is not current"
            )
        ordered = found.loc[list(uids)].reset_index()
        blobs = ordered.pop("geom").to_numpy() if "geom" in ordered else [None] * len(ordered)
        geometry = geometry_from_blobs(np.asarray(blobs, dtype=object))
        return with_column_types(
            gpd.GeoDataFrame(ordered, geometry=gpd.GeoSeries(geometry, crs=layer.crs)), layer
        )

    def as_of(
        self,
        layer: Layer,
        release: int,
        *,
        valid_at: dt.datetime | None = None,
        bbox: Bbox | None = None,
    ) -> gpd.GeoDataFrame:
        """Return a layer as a release knew it.

        Parameters
        ----------
        layer : Layer
            Its contract.
        release : int
            What was known then.
        valid_at : datetime, optional
            What was so in the world then; by default what was so at the release.
        bbox : tuple of float, optional
            Only features whose bounds meet (xmin, ymin, xmax, ymax), in the layer's CRS.

        Returns
        -------
        GeoDataFrame
            ``uid, valid_from, delivery, digest``, attributes, geometry; sorted by uid.
        """
        if not self._has(layer):
            return empty_frame(layer, ("uid", "valid_from", "delivery", "digest"))
        conditions = [f"release_from <= {int(release)}"]
        conditions.append(f"(release_to IS NULL OR release_to > {int(release)})")
        if valid_at is None:
            conditions.append("valid_to IS NULL")
        else:
            moment = valid_time_text(valid_at)
            conditions.append(f"valid_from <= '{moment}'")
            conditions.append(f"(valid_to IS NULL OR valid_to > '{moment}')")
        if bbox is not None and layer.geometry is not GeometryType.NONE:
            xmin, ymin, xmax, ymax = (float(value) for value in bbox)
            conditions.append(
                f'fid IN (SELECT id FROM "{spatial_index(layer)}" WHERE maxx >= {xmin!r} '
                f"AND minx <= {xmax!r} AND maxy >= {ymin!r} AND miny <= {ymax!r})"
            )
        return self._read(layer, " AND ".join(conditions))

    def batches(
        self, layer: Layer, release: int, *, size: int = BATCH_ROWS
    ) -> Iterator[gpd.GeoDataFrame]:
        """Yield a layer as a release knew it in batches of rows, sorted by uid."""
        last = ""
        while self._has(layer):
            condition = (
                f"release_from <= {int(release)} "
                f"AND (release_to IS NULL OR release_to > {int(release)}) "
                f"AND valid_to IS NULL AND uid > '{last}'"
            )
            frame = self._read(layer, condition, limit=size)
            if len(frame):
                yield frame
            if len(frame) < size:
                return
            last = str(frame["uid"].iloc[-1])

    def history(self, uid: str) -> pd.DataFrame:
        """Return all stored rows of a uid, oldest knowledge first.

        Returns
        -------
        DataFrame
            ``layer`` and the system columns of the history table, the attributes and
            ``geometry`` as shapely objects; empty for an unknown uid.
        """
        for layer in self.contracts().values():
            table = history_table(layer)
            query = (
                sa.select(table)
                .where(table.c.uid == uid)
                .order_by(table.c.release_from, table.c.valid_from)
            )
            with self._engine().connect() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            if rows:
                frame = pd.DataFrame(rows).drop(columns="fid")
                frame.insert(0, "layer", layer.name)
                if "geom" in frame:
                    blobs = frame.pop("geom").to_numpy()
                    frame["geometry"] = geometry_from_blobs(np.asarray(blobs, dtype=object))
                return frame
        return pd.DataFrame()

    def changed_uids(self, layer: Layer, older: int, newer: int) -> pd.DataFrame:
        """Return uids with a row opened or closed in releases (older, newer].

        Returns
        -------
        DataFrame
            ``uid``, ``change`` (the last kind recorded, null for closed rows),
            ``has_new_attributes``; sorted by uid, one row a uid.
        """
        if not self._has(layer):
            return pd.DataFrame({"uid": [], "change": [], "has_new_attributes": []})
        name = history_name(layer.name)
        sql = (
            f'SELECT uid, release_from AS at, change, has_new_attributes FROM "{name}" '
            "WHERE release_from > ? AND release_from <= ? UNION ALL "
            f'SELECT uid, release_to AS at, NULL, 0 FROM "{name}" '
            "WHERE release_to > ? AND release_to <= ?"
        )
        with self._engine().connect() as connection:
            rows = connection.exec_driver_sql(sql, (older, newer, older, newer)).all()
        frame = pd.DataFrame(rows, columns=["uid", "at", "change", "has_new_attributes"])
        frame = frame.sort_values(["uid", "at"], kind="stable")
        grouped = frame.groupby("uid", sort=True)
        return pd.DataFrame(
            {
                "change": grouped["change"].last(),
                "has_new_attributes": grouped["has_new_attributes"].max().astype(bool),
            }
        ).reset_index()

    def states_of(self, layer: Layer, uids: Sequence[str], release: int) -> gpd.GeoDataFrame:
        """Return features by uid as a release knew them; uids not there are left out."""
        table = history_table(layer)
        condition = (
            (table.c.release_from <= release)
            & (table.c.release_to.is_(None) | (table.c.release_to > release))
            & table.c.valid_to.is_(None)
        )
        names = ["uid", "valid_from", "delivery", "digest", *layer.attribute_names]
        if layer.geometry is not GeometryType.NONE:
            names.append("geom")
        frame = self._rows_by_uid(layer, uids, names, condition)
        blobs = frame.pop("geom").to_numpy() if "geom" in frame else [None] * len(frame)
        geometry = geometry_from_blobs(np.asarray(blobs, dtype=object))
        typed = with_column_types(
            gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(geometry, crs=layer.crs)), layer
        )
        return typed.sort_values("uid", ignore_index=True)

    # reading

    def _engine(self) -> sa.Engine:
        return sqlite_engine(self.path)

    def _has(self, layer: Layer) -> bool:
        return layer.name in self.contracts()

    def _read(self, layer: Layer, condition: str, *, limit: int | None = None) -> gpd.GeoDataFrame:
        names = ", ".join(
            f'"{name}"'
            for name in ("uid", "valid_from", "delivery", "digest", *layer.attribute_names)
        )
        has_geometry = layer.geometry is not GeometryType.NONE
        frame = pyogrio.read_dataframe(
            self.path,
            sql=f"SELECT {names}{', geom' if has_geometry else ''} "
            f'FROM "{history_name(layer.name)}" WHERE {condition} ORDER BY uid'
            f"{'' if limit is None else f' LIMIT {limit}'}",
            use_arrow=True,
        )
        if "geometry" not in frame:
            frame = gpd.GeoDataFrame(
                frame, geometry=gpd.GeoSeries([None] * len(frame), crs=layer.crs)
            )
        frame["digest"] = frame["digest"].map(bytes).astype(object)
        return with_column_types(frame.set_crs(layer.crs, allow_override=True), layer)

    def _rows_by_uid(
        self,
        layer: Layer,
        uids: Iterable[str],
        columns: Sequence[str],
        condition: sa.ColumnElement[bool] | None = None,
    ) -> pd.DataFrame:
        table = history_table(layer)
        if condition is None:
            condition = table.c.release_to.is_(None) & table.c.valid_to.is_(None)
        wanted = sa.Table(
            "wanted", sa.MetaData(), sa.Column("uid", sa.Text), prefixes=["TEMPORARY"]
        )
        uid_rows = [{"uid": uid} for uid in uids]
        if not self._has(layer) or not uid_rows:
            return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
        with self._engine().connect() as connection:
            connection.exec_driver_sql("CREATE TEMPORARY TABLE wanted (uid TEXT PRIMARY KEY)")
            connection.execute(sa.insert(wanted).prefix_with("OR IGNORE"), uid_rows)
            query = (
                sa.select(*(table.c[name] for name in columns))
                .select_from(wanted.join(table, table.c.uid == wanted.c.uid))
                .where(condition)
            )
            rows = connection.execute(query).all()
        return pd.DataFrame(rows, columns=list(columns)).astype({"uid": "str"})


def valid_time_text(moment: dt.datetime) -> str:
    """Return a moment as valid times are stored: UTC, whole seconds, ``Z``."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
