"""The one definition of the framework's tables, for both homes.

Per layer a history table; what is known now has ``release_to`` null::

    release axis   [release_from, release_to)     when the framework knew it
    valid axis     [valid_from, valid_to)         when it was so in the world

An index on ``release_to`` would make SQLite scan every open row for a closed one: the partial
index holds the closed rows only.
"""

from functools import lru_cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

from cityframe.core.arrow_rows import row_schema
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer

METADATA = sa.MetaData()
_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

RELEASE = sa.Table(
    "cf_release",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("valid_at", sa.Text, nullable=False),
    sa.Column("cycle", sa.Text, nullable=False, unique=True),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("parent", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("evidence", sa.Text, nullable=False),
)

RELEASE_LAYER = sa.Table(
    "cf_release_layer",
    METADATA,
    sa.Column("release", sa.Integer, sa.ForeignKey("cf_release.number"), primary_key=True),
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sum", sa.LargeBinary, nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
    sa.Column("opened", sa.Text, nullable=False),
    sa.Column("closed", sa.Text, nullable=False),
)

CONTRACT = sa.Table(
    "cf_contract",
    METADATA,
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("release", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("contract", sa.Text, nullable=False),
)

LINEAGE = sa.Table(
    "cf_lineage",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("release", sa.Integer, sa.ForeignKey("cf_release.number"), nullable=False),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("parent", sa.Text, nullable=False, index=True),
    sa.Column("child", sa.Text, index=True),
    sa.Column("share", sa.Double),
)

DUE = sa.Table(
    "cf_due",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Index("cf_due_at", "layer", "at"),
)

REDACTION = sa.Table(
    "cf_redaction",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("release", sa.Integer, sa.ForeignKey("cf_release.number"), nullable=False),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("row", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
    sa.Column("digest_before", sa.LargeBinary, nullable=False),
    sa.Column("seal_before", sa.LargeBinary, nullable=False),
)

# no foreign keys in these two: the first load of a city brings a row a feature
BRIDGE = sa.Table(
    "cf_bridge",
    METADATA,
    sa.Column("id", _WHOLE, primary_key=True),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("matched_by", sa.Text, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("margin", sa.Double),
    sa.Column("release_from", sa.Integer, nullable=False),
    sa.Column("release_to", sa.Integer),
    sa.Index("cf_bridge_uid", "uid"),
)
_IS_CURRENT = BRIDGE.c.release_to.is_(None)
sa.Index(
    "cf_bridge_current",
    BRIDGE.c.layer,
    BRIDGE.c.source,
    BRIDGE.c.source_id,
    unique=True,
    sqlite_where=_IS_CURRENT,
    postgresql_where=_IS_CURRENT,
)

PROVENANCE = sa.Table(
    "cf_provenance",
    METADATA,
    sa.Column("id", _WHOLE, primary_key=True),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("attribute", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("record", _WHOLE),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("score", sa.Double),
    sa.Column("margin", sa.Double),
    sa.Column("losers", sa.Text),
    # outlives the losers when they are redacted
    sa.Column("losers_digest", sa.LargeBinary),
    sa.Column("redacted", sa.Integer),
    sa.Index("cf_provenance_uid", "uid"),
)

VIEW = sa.Table(
    "cf_view",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("release", sa.Integer, sa.ForeignKey("cf_release.number"), nullable=False),
)


LAYOUT = sa.Table(
    "cf_layout",
    METADATA,
    # Alembic's own table; in text, for GDAL complains of what it would choose
    sa.Column("version_num", sa.Text, primary_key=True),
)


class Moment(UserDefinedType[str]):
    """A moment in UTC, in whole seconds where it is a valid time; text in GeoPackage's form."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return GeoPackage's name of the type."""
        return "DATETIME"

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        """Return what writes a moment into SQL."""
        return sa.Text().dialect_impl(dialect).literal_processor(dialect)


class Geometry(UserDefinedType[bytes]):
    """A geometry column by its type in OGC Simple Features and its CRS."""

    cache_ok = True

    def __init__(self, kind: str, srid: int, has_z: bool) -> None:
        self.kind = kind
        self.srid = srid
        self.has_z = has_z

    def get_col_spec(self, **_options: Any) -> str:
        """Return GeoPackage's name of the type."""
        return self.kind.upper()


@compiles(Moment, "postgresql")
def _moment(_type: Moment, _compiler: Any, **_options: Any) -> str:
    return "TIMESTAMP WITH TIME ZONE"


@compiles(Geometry, "postgresql")
def _geometry(kind: Geometry, _compiler: Any, **_options: Any) -> str:
    return f"geometry({kind.kind}{'Z' if kind.has_z else ''}, {kind.srid})"


# names must sort the same everywhere
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_FLAG = sa.Boolean(create_constraint=False)
_TYPES: dict[AttributeType, Any] = {
    AttributeType.STRING: sa.Text(),
    AttributeType.INTEGER: _WHOLE,
    AttributeType.REAL: sa.REAL().with_variant(sa.Double(), "postgresql"),
    AttributeType.BOOLEAN: _FLAG,
    AttributeType.DATE: sa.Date(),
    AttributeType.DATETIME: Moment(),
}

SYSTEM_COLUMNS = (
    "uid", "valid_from", "valid_to", "release_from", "release_to", "digest", "seal", "delivery",
    "record", "basis", "ended_by", "change", "has_new_attributes",
)  # fmt: skip


def history_name(layer: str) -> str:
    """Return the name of a layer's history table."""
    return f"{layer}_history"


def srid_of(layer: Layer) -> int:
    """Return the number of a layer's CRS in its authority's register."""
    return int(layer.crs.partition(":")[2])


@lru_cache(maxsize=256)
def history_table(layer: Layer) -> sa.Table:
    """Return the history table of a layer, with the indexes that a filled table gets."""
    name = history_name(layer.name)
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("fid", _WHOLE, primary_key=True),
        sa.Column("uid", _TEXT, nullable=False),
        sa.Column("valid_from", Moment(), nullable=False),
        sa.Column("valid_to", Moment()),
        sa.Column("release_from", sa.Integer, nullable=False),
        sa.Column("release_to", sa.Integer),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("record", _WHOLE),
        sa.Column("basis", sa.Text),
        sa.Column("ended_by", sa.Text),
        sa.Column("change", sa.Text),
        sa.Column("has_new_attributes", _FLAG, nullable=False),
        *(attribute_column(attribute) for attribute in layer.attributes),
        *_geometry_columns(layer),
        sa.CheckConstraint("valid_to > valid_from"),
        sa.CheckConstraint("release_to > release_from"),
    )
    sa.Index(f"{name}_uid", table.c.uid, table.c.release_from, table.c.valid_from, unique=True)
    sa.Index(f"{name}_opened", table.c.release_from)
    is_closed = table.c.release_to.is_not(None)
    sa.Index(
        f"{name}_closed",
        table.c.release_to,
        sqlite_where=is_closed,
        postgresql_where=is_closed,
    )
    return table


def attribute_column(attribute: Attribute) -> sa.Column[Any]:
    """Return the column of an attribute; it may always be null, rules say where it must not."""
    return sa.Column(attribute.name, _TYPES[attribute.type])


def history_schema(layer: Layer) -> pa.Schema:
    """Return the Arrow schema of history rows, ``fid`` left out."""
    return row_schema(layer, SYSTEM_COLUMNS)


def _geometry_columns(layer: Layer) -> list[sa.Column[Any]]:
    if layer.geometry is GeometryType.NONE:
        return []
    kind = Geometry(layer.geometry.value, srid_of(layer), has_z=layer.has_z)
    return [sa.Column("geom", kind)]
