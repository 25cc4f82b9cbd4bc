"""The one definition of the framework's tables.

Per layer a history table; what is known now has ``release_to`` null, what is so now in the world
has ``valid_to`` null too::

    release axis   [release_from, release_to)     when the framework knew it
    valid axis     [valid_from, valid_to)         when it was so in the world

An index on ``release_to`` would make SQLite scan every open row for a closed one: the partial
index holds the closed rows only.
"""

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from cityframe.model.layer import AttributeType, GeometryType, Layer

METADATA = sa.MetaData()

RELEASE = sa.Table(
    "cf_release",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("cycle", sa.Text, nullable=False, unique=True),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("evidence", sa.Text, nullable=False),
)

RELEASE_LAYER = sa.Table(
    "cf_release_layer",
    METADATA,
    sa.Column("release", sa.Integer, sa.ForeignKey("cf_release.number"), primary_key=True),
    sa.Column("layer", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sum", sa.LargeBinary, nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
)

LAYER = sa.Table(
    "cf_layer",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("contract", sa.Text, nullable=False),
)


class _Named(UserDefinedType[Any]):
    """A column type by the name that GeoPackage gives it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_options: Any) -> str:
        return self.name


_TYPES = {
    AttributeType.STRING: "TEXT",
    AttributeType.INTEGER: "INTEGER",
    AttributeType.REAL: "REAL",
    AttributeType.BOOLEAN: "BOOLEAN",
    AttributeType.DATE: "DATE",
    AttributeType.DATETIME: "DATETIME",
}

SYSTEM_COLUMNS = (
    "uid", "valid_from", "valid_to", "release_from", "release_to",
    "digest", "delivery", "record", "change", "has_new_attributes",
)  # fmt: skip


def history_name(layer: str) -> str:
    """Return the name of a layer's history table."""
    return f"{layer}_history"


@lru_cache(maxsize=256)
def history_table(layer: Layer) -> sa.Table:
    """Return the history table of a layer."""
    name = history_name(layer.name)
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("fid", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("valid_from", _Named("DATETIME"), nullable=False),
        sa.Column("valid_to", _Named("DATETIME")),
        sa.Column("release_from", sa.Integer, nullable=False),
        sa.Column("release_to", sa.Integer),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("record", sa.Integer),
        sa.Column("change", sa.Text),
        sa.Column("has_new_attributes", _Named("BOOLEAN"), nullable=False),
        *_attribute_columns(layer),
        sa.UniqueConstraint("uid", "release_from", "valid_from"),
    )
    sa.Index(f"{name}_closed", table.c.release_to, sqlite_where=table.c.release_to.is_not(None))
    sa.Index(f"{name}_opened", table.c.release_from)
    return table


@lru_cache(maxsize=256)
def changes_table(layer: Layer) -> sa.Table:
    """Return the table of a candidate that holds a layer's changes, in the attached schema."""
    return sa.Table(
        layer.name,
        sa.MetaData(),
        sa.Column("fid", sa.Integer, primary_key=True),
        sa.Column("uid", sa.Text),
        sa.Column("change", sa.Text),
        sa.Column("has_new_attributes", _Named("BOOLEAN")),
        sa.Column("delivery", sa.Text),
        sa.Column("record", sa.Integer),
        sa.Column("valid_from", _Named("DATETIME")),
        sa.Column("digest", sa.LargeBinary),
        *_attribute_columns(layer),
        schema="candidate",
    )


def _attribute_columns(layer: Layer) -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        sa.Column(attribute.name, _Named(_TYPES[attribute.type])) for attribute in layer.attributes
    ]
    if layer.geometry is not GeometryType.NONE:
        columns.append(sa.Column("geom", _Named(layer.geometry.value.upper())))
    return columns
