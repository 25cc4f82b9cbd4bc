"""A layer's objects in PostGIS: its history table, indexes, trigger, views and CRS."""

from collections.abc import Sequence

import psycopg
import pyproj
import sqlalchemy as sa

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import GeometryType, Layer
from cityframe.store.tables import history_name, history_table, srid_of

# rows a and b are known and so at one time
_OVERLAP = """a.uid = b.uid AND a.fid <> b.fid
    AND a.release_from < coalesce(b.release_to, 2147483647)
    AND b.release_from < coalesce(a.release_to, 2147483647)
    AND a.valid_from < coalesce(b.valid_to, 'infinity')
    AND b.valid_from < coalesce(a.valid_to, 'infinity')"""

# The queries are planned anew each time (EXECUTE): a plan for one row would be kept for 10,000.
# Names are written out, as a client may have any search_path.
REFUSE_OVERLAP = f"""
CREATE OR REPLACE FUNCTION cf_refuse_overlap() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    found text;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        EXECUTE format($query$
            SELECT a.uid FROM (SELECT ($1).*) a, %%I.%%I b WHERE {_OVERLAP} LIMIT 1
        $query$, TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO found USING NEW;
    ELSE
        EXECUTE format($query$
            SELECT a.uid FROM added a, %%I.%%I b WHERE {_OVERLAP} LIMIT 1
        $query$, TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO found;
    END IF;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'exclusion_violation', TABLE = TG_TABLE_NAME,
            MESSAGE = format('uid %%s: two known rows hold at the same time', found);
    END IF;
    RETURN NULL;
END
$body$
"""


def create_history(connection: sa.Connection, layer: Layer) -> None:
    """Create a layer's history table without its indexes, and make its CRS known."""
    if layer.geometry is not GeometryType.NONE:
        _register_crs(connection, layer)
    table = history_table(layer)
    connection.execute(sa.schema.CreateTable(table))
    # comes back with the other indexes: built over all rows at once they cost less
    connection.exec_driver_sql(f'ALTER TABLE "{table.name}" DROP CONSTRAINT "{table.name}_pkey"')


def index_history(connection: sa.Connection, layer: Layer) -> None:
    """Give a filled history table its indexes, the triggers that refuse overlaps, statistics.

    Raises
    ------
    IntegrityError
        If two known rows of one uid overlap already.
    """
    name = history_name(layer.name)
    # sorting in memory; an index on a million rows takes about 100 MB
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
    connection.exec_driver_sql(f'ALTER TABLE "{name}" ADD PRIMARY KEY (fid)')
    for index in sorted(history_table(layer).indexes, key=lambda index: str(index.name)):
        index.create(connection)
    if layer.geometry is not GeometryType.NONE:
        connection.exec_driver_sql(f'CREATE INDEX "{name}_geom" ON "{name}" USING gist (geom)')
    # what as-of queries and the check below need; PostgreSQL looks at the rest in its own time
    connection.exec_driver_sql(
        f'ANALYZE "{name}" (fid, uid, valid_from, valid_to, release_from, release_to)'
    )
    _refuse_overlaps_now(connection, name)
    connection.exec_driver_sql(
        f'CREATE TRIGGER cf_added AFTER INSERT ON "{name}" REFERENCING NEW TABLE AS added '
        "FOR EACH STATEMENT EXECUTE FUNCTION cf_refuse_overlap()"
    )
    # closing a row can't make an overlap: only a change that widens it is looked at
    connection.exec_driver_sql(
        f'CREATE TRIGGER cf_widened AFTER UPDATE ON "{name}" FOR EACH ROW WHEN ('
        "new.uid <> old.uid OR new.fid <> old.fid"
        " OR new.release_from < old.release_from OR new.valid_from < old.valid_from"
        " OR coalesce(new.release_to, 2147483647) > coalesce(old.release_to, 2147483647)"
        " OR coalesce(new.valid_to, 'infinity') > coalesce(old.valid_to, 'infinity')"
        ") EXECUTE FUNCTION cf_refuse_overlap()"
    )


def replace_view(connection: sa.Connection, layer: Layer, view: str, where: str) -> None:
    """Create a view on a layer's history, in place of the one of that name.

    Parameters
    ----------
    connection : Connection
        In a transaction.
    layer : Layer
        The contract, whose attributes the view shows.
    view : str
        Name of the view.
    where : str
        SQL condition.

    Raises
    ------
    DeclarationError
        If a view of somebody else's reads this one: it can't be replaced under it.
    """
    names = ["fid", "uid", "valid_from", "delivery", *layer.attribute_names]
    if layer.geometry is not GeometryType.NONE:
        names.append("geom")
    columns = ", ".join(f'"{name}"' for name in names)
    drop_view(connection, view)
    connection.exec_driver_sql(
        f'CREATE VIEW "{view}" AS SELECT {columns} FROM "{history_name(layer.name)}" WHERE {where}'
    )


def drop_view(connection: sa.Connection, view: str) -> None:
    """Drop a view if it is there.

    Raises
    ------
    DeclarationError
        If another object depends on it.
    """
    try:
        connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{view}"')
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.DependentObjectsStillExist):
            raise
        raise DeclarationError(
            where=view,
            found=f"the view can't be replaced ({error.orig.diag.message_detail})",
            remedy="drop what depends on it, and make it again afterwards",
        ) from error


def quoted_columns(layer: Layer, *, left_out: Sequence[str]) -> list[str]:
    """Return the names of a history table's columns but for ``fid`` and those left out."""
    skipped = {"fid", *left_out}
    names = [column.name for column in history_table(layer).columns]
    return [f'"{name}"' for name in names if name not in skipped]


def _refuse_overlaps_now(connection: sa.Connection, name: str) -> None:
    found = connection.exec_driver_sql(
        f'WITH several AS (SELECT h.* FROM "{name}" h WHERE uid IN '
        f'(SELECT uid FROM "{name}" GROUP BY uid HAVING count(*) > 1)) '
        f"SELECT a.uid FROM several a, several b WHERE {_OVERLAP} LIMIT 1"
    ).scalar()
    if found is not None:
        raise IntegrityError(where=name, found=f"uid {found}: two known rows hold at the same time")


def _register_crs(connection: sa.Connection, layer: Layer) -> None:
    """Make a CRS known that PostGIS does not bring along."""
    srid = srid_of(layer)
    known = sa.text("SELECT 1 FROM spatial_ref_sys WHERE srid = :srid")
    if connection.execute(known, {"srid": srid}).first() is not None:
        return
    crs = pyproj.CRS(layer.crs)
    connection.execute(
        sa.text(
            "INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) "
            "VALUES (:srid, :authority, :srid, :srtext, '')"
        ),
        {
            "srid": srid,
            "authority": layer.crs.partition(":")[0],
            "srtext": crs.to_wkt("WKT1_GDAL"),
        },
    )
