"""A layer's change table as a Parquet file, in few bytes.

The file has the canonical columns; only the two of the geometry are stored in the packed form of
`cityframe.products.package.ordinates`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from shapely.errors import ShapelyError

from cityframe.errors import IntegrityError
from cityframe.model.layer import Layer
from cityframe.products.package.change_table import NEW, OLD, change_schema
from cityframe.products.package.ordinates import PACKED_GEOMETRY, pack, unpack
from cityframe.products.package.table import GEOMETRY, GROUP_ROWS

_GEOMETRIES = (f"{OLD}{GEOMETRY}", f"{NEW}{GEOMETRY}")
_PLAIN = frozenset({"uid", "digest_before", "digest_after"})
_SPLIT = frozenset({"record_before", "record"})
_LEVEL = 19


def write_changes(path: Path, changes: pa.Table, layer: Layer) -> None:
    """Write a layer's change table; the same rows give the same bytes.

    Parameters
    ----------
    layer : Layer
        The wider contract of the two.
    """
    table = changes
    if _GEOMETRIES[0] in changes.column_names:
        old, new = (changes[name].combine_chunks() for name in _GEOMETRIES)
        for name, packed in zip(_GEOMETRIES, pack(old, new, layer), strict=True):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, pa.field(name, PACKED_GEOMETRY), packed)
    encodings = {
        leaf: encoding
        for leaf in _leaves(table.schema)
        if (encoding := _encoding(leaf)) is not None
    }
    pq.write_table(
        table,
        path,
        row_group_size=GROUP_ROWS,
        compression="zstd",
        compression_level=_LEVEL,
        # the stubs know of all columns or none
        use_dictionary=[  # type: ignore[arg-type]
            leaf for leaf in _leaves(table.schema) if leaf not in encodings
        ],
        column_encoding=encodings,
        # statistics and Arrow's own schema outweigh the rows of a small change
        write_statistics=False,
        store_schema=False,
    )


def read_change_file(path: Path, layer: Layer) -> pa.Table:
    """Read a layer's change table.

    Raises
    ------
    IntegrityError
        If the file has other columns, or can't be read.
    """
    schema = change_schema(layer)
    stored = pa.schema(
        [
            pa.field(one.name, PACKED_GEOMETRY if one.name in _GEOMETRIES else one.type)
            for one in schema
        ]
    )
    try:
        table = pq.read_table(path, partitioning=None)
        if table.schema.names != stored.names or any(
            not _fits(found.type, wanted.type)
            for found, wanted in zip(table.schema, stored, strict=True)
        ):
            raise IntegrityError(
                where=str(path),
                found=f"columns {_columns(table.schema)}",
                expected=_columns(stored),
            )
        if _GEOMETRIES[0] in schema.names:
            old, new = (_struct(table[name]) for name in _GEOMETRIES)
            for name, wkb in zip(_GEOMETRIES, unpack(old, new, layer), strict=True):
                table = table.set_column(schema.get_field_index(name), name, wkb)
        return table.cast(schema).combine_chunks()
    except (pa.ArrowException, ShapelyError, OSError, ValueError, TypeError, LookupError) as error:
        raise IntegrityError(
            where=str(path),
            found=f"can't be read: {error}",
            expected="the changes of a layer",
            remedy="get the package again from the publisher",
        ) from error


def _struct(column: "pa.ChunkedArray[Any]") -> pa.StructArray:
    array: Any = column.combine_chunks().cast(PACKED_GEOMETRY)
    return pa.StructArray.from_arrays(array.flatten(), fields=list(PACKED_GEOMETRY))


def _leaves(schema: pa.Schema) -> Iterator[str]:
    """Give the columns of the file: those of a struct and of a list have names of their own."""
    for field in schema:
        if field.type == PACKED_GEOMETRY:
            yield from (f"{field.name}.form", f"{field.name}.is_on_grid")
            yield f"{field.name}.ordinates.list.element"
        else:
            yield field.name


def _encoding(leaf: str) -> str | None:
    """Return how a column is encoded; None for a dictionary."""
    if leaf in _PLAIN:
        return "PLAIN"
    # the upper bytes of small numbers are all alike
    return "BYTE_STREAM_SPLIT" if leaf in _SPLIT or leaf.endswith(".element") else None


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    return found == wanted or (wanted == PACKED_GEOMETRY and str(found) == str(wanted))


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
