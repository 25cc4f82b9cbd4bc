"""History rows as they are stored, byte by byte: what a reader would forgive is damage here.

PostgreSQL itself holds its types. SQLite takes anything in any column, and GDAL reads much of it
kindly; so a GeoPackage is read without GDAL.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import compress
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from cityframe.core.arrow_rows import GEOMETRY
from cityframe.model.layer import Layer
from cityframe.store.damage import Damage
from cityframe.store.geopackage import spatial_index
from cityframe.store.history_query import as_schema
from cityframe.store.home import Home
from cityframe.store.spatial_check import bounds_damages, read_blobs
from cityframe.store.tables import REDACTION, history_name, history_schema, history_table

_BATCH_ROWS = 16_384
_BOUNDS = ("minx", "maxx", "miny", "maxy")
_DAYS, _SECONDS, _MILLISECONDS = "date32", "s", "ms"
_MOMENTS = {
    _SECONDS: pa.timestamp("s", tz="UTC"),
    _MILLISECONDS: pa.timestamp("ms", tz="UTC"),
}
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StoredRows:
    """A batch of a layer's history.

    Attributes
    ----------
    rows : Table
        ``fid`` and the columns asked for; a value that can't be read is null.
    damages : list of Damage
        What can't be read.
    is_readable : ndarray of bool
        Rows without such a value.
    """

    rows: pa.Table
    damages: list[Damage]
    is_readable: Mask


def stored_rows(
    home: Home, layer: Layer, names: Sequence[str], *, release: int | None, by_uid: bool = False
) -> Iterator[StoredRows]:
    """Yield a layer's history in batches.

    Parameters
    ----------
    home : Home
        Where the framework lives.
    layer : Layer
        The newest contract.
    names : sequence of str
        Columns of the history beside ``fid``; with ``geom`` the spatial index of a GeoPackage is
        held against it.
    release : int or None
        Only rows that this release or its parent knows, or that it redacted.
    by_uid : bool
        Sorted by uid; else in the order of the table.
    """
    table = history_table(layer)
    condition: sa.ColumnElement[bool] = sa.true()
    if release is not None:
        is_open = table.c.release_to.is_(None) | (table.c.release_to >= release)
        redacted = sa.select(REDACTION.c.row).where(
            REDACTION.c.layer == layer.name, REDACTION.c.release == release
        )
        condition = ((table.c.release_from <= release) & is_open) | table.c.fid.in_(redacted)
    if home.engine.dialect.name == "sqlite":
        yield from _from_sqlite(home, layer, names, condition, by_uid=by_uid)
        return
    columns = ("fid", *names)
    query = sa.select(*(table.c[name] for name in columns)).where(condition)
    for batch in home.read(query.order_by(table.c.uid) if by_uid else query):
        rows = as_schema([batch], columns, layer)
        yield StoredRows(rows, [], np.ones(rows.num_rows, dtype=bool))


@contextmanager
def plain_connection(home: Home) -> Iterator[sa.Connection]:
    """Open a connection to read from whose texts may be anything; what is no UTF-8 shows as U+FFFD.

    SQLite's driver would refuse the whole query for one such text.
    """
    with home.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.text_factory = partial(str, encoding="utf-8", errors="replace")
        yield connection


def _from_sqlite(
    home: Home,
    layer: Layer,
    names: Sequence[str],
    condition: sa.ColumnElement[bool],
    *,
    by_uid: bool,
) -> Iterator[StoredRows]:
    table, has_geometry = history_table(layer), GEOMETRY in names
    columns = ("fid", *names)
    chosen = ", ".join(f'"{table.name}"."{name}"' for name in columns)
    # the index has a copy of the uids: what counts is what the table holds
    source = f'"{table.name}" NOT INDEXED'
    if has_geometry:
        chosen += "".join(f", r.{name}" for name in _BOUNDS)
        source += f' LEFT JOIN "{spatial_index(layer)}" r ON r.id = fid'
    where = condition.compile(dialect=home.engine.dialect, compile_kwargs={"literal_binds": True})
    order = "ORDER BY uid" if by_uid else ""
    with plain_connection(home) as connection:
        driver: Any = connection.connection.driver_connection
        try:
            cursor = driver.execute(f"SELECT {chosen} FROM {source} WHERE {where} {order}")
            while rows := cursor.fetchmany(_BATCH_ROWS):
                yield _typed(layer, columns, rows, has_bounds=has_geometry)
        except sqlite3.DatabaseError as error:
            damage = Damage(where=table.name, layer=layer.name, found=f"unreadable: {error}")
            empty = as_schema([], columns, layer)
            yield StoredRows(empty, [damage], np.empty(0, dtype=bool))


def _typed(
    layer: Layer, columns: Sequence[str], rows: list[tuple[Any, ...]], *, has_bounds: bool
) -> StoredRows:
    values = dict(zip((*columns, *_BOUNDS), zip(*rows, strict=True), strict=False))
    schema = history_schema(layer)
    fids, uids = values["fid"], values.get("uid", ("",) * len(rows))
    arrays: list[Any] = [pa.array(fids, pa.int64())]
    damages: list[Damage] = []
    is_readable = np.ones(len(rows), dtype=bool)
    envelopes = np.full((len(rows), len(_BOUNDS)), np.nan)
    for name in columns[1:]:
        array, bad = typed_column(values[name], schema.field(name))
        if name == GEOMETRY:
            blobs = read_blobs(array, layer)
            array, bad, envelopes = blobs.wkb, bad | blobs.is_damaged, blobs.envelopes
        arrays.append(array)
        if bad.any():
            is_readable &= ~bad
            damages += [
                _unreadable(layer, name, fid, uid, value)
                for fid, uid, value in compress(zip(fids, uids, values[name], strict=True), bad)
            ]
    table = pa.table(arrays, schema=as_schema([], columns, layer).schema)
    if has_bounds:
        entries = np.array([values[name] for name in _BOUNDS], dtype=np.float64).T
        damages += bounds_damages(layer, table, envelopes, entries, is_readable)
    return StoredRows(table, damages, is_readable)


def _unreadable(layer: Layer, name: str, fid: int, uid: object, value: object) -> Damage:
    return Damage(
        where=f"{history_name(layer.name)}.{name}",
        layer=layer.name,
        uid=str(uid),
        fid=fid,
        found=f"{type(value).__name__} {str(value)[:40]!r}",
        expected="a value of the column's type, in the store's form",
    )


def typed_column(values: Sequence[Any], field: "pa.Field[Any]") -> tuple["pa.Array[Any]", Mask]:
    """Return stored values in their column's type, and which could not be read: they are null."""
    kind = field.type
    if pa.types.is_date(kind):
        return _from_text(values, kind, _DAYS)
    if pa.types.is_timestamp(kind):
        is_valid_time = field.name in ("valid_from", "valid_to")
        return _from_text(values, kind, _SECONDS if is_valid_time else _MILLISECONDS)
    if pa.types.is_boolean(kind):
        numbers, bad = _of_type(values, int)
        wrong = np.array([value not in (0, 1, None) for value in numbers], dtype=bool)
        return pa.array([None if value is None else value == 1 for value in numbers]), bad | wrong
    expected = {pa.int64(): int, pa.float64(): float, pa.binary(): bytes}.get(kind, str)
    found, bad = _of_type(values, expected)
    return pa.array(found, kind), bad


def _of_type(values: Sequence[Any], kind: type) -> tuple[Sequence[Any], Mask]:
    """Return values that have a type, others null, and which these are."""
    if {*map(type, values)} <= {kind, NoneType}:
        return values, np.zeros(len(values), dtype=bool)
    bad = [value is not None and type(value) is not kind for value in values]
    kept = [None if wrong else value for value, wrong in zip(values, bad, strict=True)]
    return kept, np.array(bad, dtype=bool)


def _from_text(
    values: Sequence[Any], kind: "pa.DataType", form: str
) -> tuple["pa.Array[Any]", Mask]:
    """Return moments or dates from text; what is not written just as the store does is null."""
    texts, bad = _of_type(values, str)
    coded: Any = pa.array(texts, pa.string()).dictionary_encode()
    found = _parsed(coded.dictionary, kind, form)
    result = found.take(coded.indices)
    is_lost = result.is_null().to_numpy(zero_copy_only=False)
    is_given = coded.indices.is_valid().to_numpy(zero_copy_only=False)
    return result, bad | (is_lost & is_given)


def _parsed(texts: Any, kind: "pa.DataType", form: str) -> Any:
    write: Callable[[Any], Any]
    if form == _DAYS:
        write = partial(pc.cast, target_type=pa.string())
    else:

        def write(moments: Any) -> Any:
            short = moments.cast(_MOMENTS[form], safe=False)
            return pc.strftime(short, format="%Y-%m-%dT%H:%M:%SZ")

    try:
        found = texts.cast(kind)
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return pa.array([None], kind)
        half = len(texts) // 2
        parts = [_parsed(part, kind, form) for part in (texts[:half], texts[half:])]
        return pa.concat_arrays(parts)
    return pc.if_else(pc.equal(write(found), texts), found, None)
