"""The framework: all layers, all releases, both time axes. This module reads it."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from cityframe.core.arrow_rows import GEOMETRY, MOMENT, row_schema, to_frame
from cityframe.core.frames import key_text
from cityframe.errors import DeclarationError
from cityframe.model.layer import GeometryType, Layer
from cityframe.model.release import Release
from cityframe.store.geopackage_home import GeoPackageHome
from cityframe.store.history_query import as_schema, by_uid, is_known, valid_time_text
from cityframe.store.home import Bbox
from cityframe.store.postgis_home import PostgisHome
from cityframe.store.register import Register
from cityframe.store.tables import REDACTION, history_table

BATCH_ROWS = 100_000
_STATE_COLUMNS = ("uid", "valid_from", "delivery", "digest")


def open_framework(store: Path, url: str | None = None) -> "Framework":
    """Return the framework of a store.

    Parameters
    ----------
    store : Path
        The store's folder; the embedded home is ``framework.gpkg`` in it.
    url : str, optional
        ``postgresql://user@host:port/database?schema=NAME`` for the PostGIS home.
    """
    return Framework(GeoPackageHome(store / "framework.gpkg") if url is None else PostgisHome(url))


class Framework(Register):
    """Read the framework store: its register, and the features on both time axes."""

    def index(self, layer: Layer, *, valid_at: dt.datetime | None = None) -> pd.DataFrame:
        """Return ``uid, key, digest`` of all current features; RangeIndex, sorted by uid.

        ``valid_at`` is the newest release's reference time by default; so it is in `rows`.
        """
        current = self.current()
        columns = {"uid": pd.Series(dtype="str"), "key": pd.Series(dtype="str")}
        if current is None or not self._has(layer):
            return pd.DataFrame({**columns, "digest": pd.Series(dtype="object")})
        names = ("uid", "digest", *layer.key)
        rows = self._table(layer, names, self._in_state(layer, current, valid_at))
        frame = to_frame(rows.sort_by("uid"), layer)
        return pd.DataFrame(
            {"uid": frame["uid"], "key": key_text(frame, layer.key), "digest": frame["digest"]}
        )

    def rows(
        self, layer: Layer, uids: Sequence[str], *, valid_at: dt.datetime | None = None
    ) -> gpd.GeoDataFrame:
        """Return current features by uid, in the order of the uids.

        Returns
        -------
        GeoDataFrame
            ``uid, valid_from, delivery, digest``, attributes, geometry.

        Raises
        ------
        DeclarationError
            If a uid is not current.
        """
        current = self.current()
        found = self.states_of(layer, uids, current.number if current else 0, valid_at=valid_at)
        places = pd.Index(found["uid"]).get_indexer(pd.Index(list(uids), dtype="str"))
        if (places < 0).any():
            uid = list(uids)[int(np.flatnonzero(places < 0)[0])]
            raise DeclarationError(where=f"layer {layer.name}", found=f"uid {uid} is not current")
        return found.iloc[places].reset_index(drop=True)

    def states_of(
        self,
        layer: Layer,
        uids: Sequence[str],
        release: int,
        *,
        valid_at: dt.datetime | None = None,
    ) -> gpd.GeoDataFrame:
        """Return features by uid as a release has them, sorted; uids not there are left out."""
        names = self._state_names(layer)
        parts = [row_schema(layer, _STATE_COLUMNS).empty_table()]
        if release and len(uids) and self._has(layer):
            condition = self._in_state(layer, self.release(release), valid_at)
            parts += [
                self._table(layer, names, condition & chosen) for chosen in by_uid(layer, uids)
            ]
        return to_frame(pa.concat_tables(parts).sort_by("uid"), layer)

    def as_of(
        self,
        layer: Layer,
        release: int,
        *,
        valid_at: dt.datetime | None = None,
        bbox: Bbox | None = None,
        uid: str | None = None,
    ) -> gpd.GeoDataFrame:
        """Return a layer as a release knew it.

        Parameters
        ----------
        layer : Layer
            Its contract.
        release : int
            What was known then.
        valid_at : datetime, optional
            What was so in the world then; by default the release's reference time.
        bbox : tuple of float, optional
            Only features whose bounds meet (xmin, ymin, xmax, ymax), in the layer's CRS.
        uid : str, optional
            Only this feature.

        Returns
        -------
        GeoDataFrame
            ``uid, valid_from, delivery, digest``, attributes, geometry; sorted by uid.
        """
        rows = self.as_of_arrow(layer, release, valid_at=valid_at, bbox=bbox, uid=uid)
        return to_frame(rows.sort_by("uid"), layer)

    def as_of_arrow(
        self,
        layer: Layer,
        release: int,
        *,
        valid_at: dt.datetime | None = None,
        bbox: Bbox | None = None,
        uid: str | None = None,
    ) -> pa.Table:
        """Return what `as_of` does as Arrow, geometry as WKB, in no order."""
        schema = row_schema(layer, _STATE_COLUMNS)
        if not self._has(layer):
            return schema.empty_table()
        table = history_table(layer)
        condition = self._in_state(layer, self.release(release), valid_at)
        if uid is not None:
            condition &= table.c.uid == uid
        if bbox is not None and layer.geometry is not GeometryType.NONE:
            condition &= self.home.meets(layer, bbox)
        return self._table(layer, self._state_names(layer), condition)

    def batches(
        self, layer: Layer, release: int, *, size: int = BATCH_ROWS
    ) -> Iterator[gpd.GeoDataFrame]:
        """Yield a layer as a release has it in batches of rows, sorted by uid.

        The columns are those of `as_of` and ``record, basis``.
        """
        if not self._has(layer):
            return
        table = history_table(layer)
        condition = self._in_state(layer, self.release(release))
        names = (*_STATE_COLUMNS, "record", "basis", *self._state_names(layer)[4:])
        last: str | None = None
        while True:
            more = condition if last is None else condition & (table.c.uid > last)
            rows = self._table(layer, names, more, order=True, limit=size)
            if rows.num_rows:
                yield to_frame(rows, layer)
            if rows.num_rows < size:
                return
            last = rows.column("uid")[-1].as_py()

    def dated_ahead(self, layer: Layer, valid_at: dt.datetime) -> gpd.GeoDataFrame:
        """Return features that are known but begin after a moment, as they will begin.

        Returns
        -------
        GeoDataFrame
            As of `as_of`; features that are there at the moment are left out.
        """
        moment = valid_time_text(valid_at)
        uids = self.due_uids(layer, moment, "9999-12-31T23:59:59Z")
        known = self.known_rows(layer, uids, self._state_names(layer))
        later = known.filter(pc.greater(known.column("valid_from"), pa.scalar(valid_at, MOMENT)))
        frame = to_frame(later.sort_by("valid_from"), layer).drop_duplicates("uid")
        current = self.current()
        there = self.states_of(layer, uids, current.number if current else 0, valid_at=valid_at)
        frame = frame[~frame["uid"].isin(there["uid"])]
        return frame.sort_values("uid", ignore_index=True)

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
            names = [column.name for column in table.columns if column.name != "fid"]
            rows = self._table(layer, names, table.c.uid == uid)
            if rows.num_rows:
                ordered = rows.sort_by([("release_from", "ascending"), ("valid_from", "ascending")])
                frame = pd.DataFrame(to_frame(ordered, layer))
                frame.insert(0, "layer", layer.name)
                return frame
        return pd.DataFrame()

    # changes

    def changed_rows(
        self, layer: Layer, older: int, newer: int
    ) -> tuple[pa.Table, pa.Table, dict[str, str | None]]:
        """Return what may differ between two releases, at a cost that follows the changes.

        Returns
        -------
        before, after : Table
            The rows that only one of the two releases has in its state, both rows of features
            that fell due in between, and rows redacted in between: `as_of_arrow` and ``record,
            basis, change, has_new_attributes``. The digests are those of either release: what a
            redaction cleared is gone on both sides, but its digests differ.
        ended_by : dict
            Of each touched uid that the later release does not have: what ended the last period
            that it knows of; None if it knows of none.
        """
        names = (
            *_STATE_COLUMNS, "record", "basis", "change", "has_new_attributes",
            *self._state_names(layer)[4:],
        )  # fmt: skip
        early = late = row_schema(layer, names[:8]).empty_table()
        if not self._has(layer) or older == newer:
            return early, late, {}
        low, high = self._in_order(older, newer)
        columns = history_table(layer).c
        if low is not None:
            closed = self._is_changed(layer, low, high, columns.release_to)
            early = self._table(layer, ("fid", *names), self._in_state(layer, low) & closed)
            early = self._with_digests_of(low, layer, early).drop_columns("fid")
        opened = self._is_changed(layer, low, high, columns.release_from)
        late = self._table(layer, ("fid", *names), self._in_state(layer, high) & opened)
        late = self._with_digests_of(high, layer, late).drop_columns("fid")
        there = set(late.column("uid").to_pandas())
        gone = [uid for uid in self.touched_uids(layer, older, newer) if uid not in there]
        ended_by = self._ended_by(layer, high, gone)
        return (early, late, ended_by) if older < newer else (late, early, ended_by)

    def touched_uids(self, layer: Layer, older: int, newer: int) -> list[str]:
        """Return the uids with a row opened or closed between two releases, or that fell due."""
        if not self._has(layer) or older == newer:
            return []
        low, high = self._in_order(older, newer)
        columns = history_table(layer).c
        changed = self._is_changed(layer, low, high, columns.release_from, columns.release_to)
        return sorted(self._table(layer, ["uid"], changed).column("uid").unique().to_pandas())

    def known_rows(
        self, layer: Layer, uids: Sequence[str], columns: Iterable[str], release: int | None = None
    ) -> pa.Table:
        """Return the rows of uids that are known (in a release), by columns of the history."""
        table = history_table(layer)
        known: sa.ColumnElement[bool] = table.c.release_to.is_(None)
        if release is not None:
            known = is_known(table, release)
        names = list(columns)
        if not self._has(layer):
            return as_schema([], names, layer)
        parts = [self._table(layer, names, known & chosen) for chosen in by_uid(layer, uids)] or [
            self._table(layer, names, sa.false())
        ]
        return pa.concat_tables(parts)

    def known_uids(self, layer: Layer, uids: Sequence[str]) -> frozenset[str]:
        """Return those of the uids that any row of the layer's history has, known or not."""
        if not self._has(layer):
            return frozenset()
        parts = [self._table(layer, ["uid"], chosen) for chosen in by_uid(layer, uids)]
        return frozenset(uid for part in parts for uid in part.column("uid").to_pandas())

    def history_rows(
        self, layer: Layer, columns: Iterable[str], condition: sa.ColumnElement[bool]
    ) -> Iterator[pa.RecordBatch]:
        """Yield history rows in batches, by columns and condition on the history table."""
        table = history_table(layer)
        yield from self.home.read(sa.select(*(table.c[name] for name in columns)).where(condition))

    # conditions

    def _in_state(
        self, layer: Layer, release: Release, valid_at: dt.datetime | None = None
    ) -> sa.ColumnElement[bool]:
        table = history_table(layer)
        moment = sa.literal(
            release.valid_at if valid_at is None else valid_time_text(valid_at),
            type_=table.c.valid_from.type,
        )
        return (
            is_known(table, release.number)
            & (table.c.valid_from <= moment)
            & (table.c.valid_to.is_(None) | (table.c.valid_to > moment))
        )

    def _in_order(self, *numbers: int) -> tuple[Release | None, Release]:
        low, high = sorted(numbers)
        return (self.release(low) if low else None), self.release(high)

    def _is_changed(
        self, layer: Layer, low: Release | None, high: Release, *columns: sa.ColumnElement[int]
    ) -> sa.ColumnElement[bool]:
        """Choose rows where a column names a release in (low, high], or redacted or due then."""
        table = history_table(layer)
        first = low.number if low else 0
        # redactions and due rows are few, mostly none: asked for apart, so that the ranges stay
        # plain enough for every planner to use the indexes
        parts: list[sa.ColumnElement[bool]] = [
            (column > first) & (column <= high.number) for column in columns
        ]
        redacted = sa.select(REDACTION.c.row).where(
            REDACTION.c.layer == layer.name,
            REDACTION.c.release > first,
            REDACTION.c.release <= high.number,
        )
        with self.home.engine.connect() as connection:
            rows = sorted(set(connection.execute(redacted).scalars()))
        if rows:
            parts.append(table.c.fid.in_(rows))
        if low:
            due = self.due_uids(layer, low.valid_at, high.valid_at)
            parts += list(by_uid(layer, due))
        return sa.or_(*parts)

    def _with_digests_of(self, release: Release, layer: Layer, rows: pa.Table) -> pa.Table:
        """Return rows (``fid``, ``digest``) with the digests from before later redactions."""
        query = (
            sa.select(REDACTION.c.row, REDACTION.c.digest_before)
            .where(REDACTION.c.layer == layer.name, REDACTION.c.release > release.number)
            .order_by(REDACTION.c.release.desc())
        )
        with self.home.engine.connect() as connection:
            # the oldest of the later ones is the last to be entered
            before = {row: bytes(digest) for row, digest in connection.execute(query)}
        if not before:
            return rows
        fids, digests = (rows.column(name).to_pylist() for name in ("fid", "digest"))
        then = [before.get(fid, digest) for fid, digest in zip(fids, digests, strict=True)]
        place = rows.column_names.index("digest")
        return rows.set_column(place, "digest", pa.array(then, pa.binary()))

    def _ended_by(
        self, layer: Layer, release: Release, uids: Sequence[str]
    ) -> dict[str, str | None]:
        names = ["uid", "ended_by", "valid_to"]
        known = self.known_rows(layer, uids, names, release.number)
        moment = pa.scalar(pd.Timestamp(release.valid_at), known.schema.field("valid_to").type)
        ended = known.filter(pc.less_equal(known.column("valid_to"), moment)).sort_by("valid_to")
        last = ended.select(["uid", "ended_by"]).to_pandas()
        return dict.fromkeys(uids) | dict(zip(last["uid"], last["ended_by"], strict=True))

    # reading

    def _has(self, layer: Layer) -> bool:
        return self._stored(layer) is not None

    def _stored(self, layer: Layer) -> frozenset[str] | None:
        """Return the attributes of a contract that the store has; None if it has no such layer."""
        wanted = frozenset(layer.attribute_names)
        # a layer or attribute that is there once stays
        there = self._attributes.get(layer.name)
        if there is None or not wanted <= there:
            self._attributes = {
                name: frozenset(one.attribute_names) for name, one in self.contracts().items()
            }
            there = self._attributes.get(layer.name)
        return None if there is None else there & wanted

    def _state_names(self, layer: Layer) -> tuple[str, ...]:
        geometry = () if layer.geometry is GeometryType.NONE else (GEOMETRY,)
        return (*_STATE_COLUMNS, *layer.attribute_names, *geometry)

    def _table(
        self,
        layer: Layer,
        names: Iterable[str],
        condition: sa.ColumnElement[bool],
        *,
        order: bool = False,
        limit: int | None = None,
    ) -> pa.Table:
        table = history_table(layer)
        absent = frozenset(layer.attribute_names) - (self._stored(layer) or frozenset())
        # an attribute that the contract gained since the last release is null in all rows
        columns = [
            sa.cast(sa.null(), table.c[name].type).label(name) if name in absent else table.c[name]
            for name in names
        ]
        query = sa.select(*columns).select_from(table).where(condition)
        if order:
            query = query.order_by(table.c.uid)
        if limit is not None:
            query = query.limit(limit)
        return as_schema(self.home.read(query), names, layer)
