"""Where a framework lives: what differs between a GeoPackage and PostGIS, and nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa

from cityframe.model.layer import Attribute, Layer

Bbox = tuple[float, float, float, float]
COPY_COLUMNS = (
    "source", "valid_from", "valid_to", "release_from", "ended_by", "change", "seal",
)  # fmt: skip


@dataclass(frozen=True)
class Bulk:
    """The first rows of a layer that the store does not have yet.

    Attributes
    ----------
    batches : iterable of RecordBatch
        Of `cityframe.store.tables.history_schema`; each uid once; read once.
    """

    layer: Layer
    batches: Iterable[pa.RecordBatch]


class Home(Protocol):
    """A place for the tables of a framework.

    Moments pass as ``timestamp(us, UTC)`` in Arrow and as text (``2026-11-22T08:00:00Z``) in
    conditions; geometries as ISO WKB in the column ``geom``.
    """

    @property
    def label(self) -> str:
        """Path or URL for messages; without secrets."""

    @property
    def engine(self) -> sa.Engine:
        """For small statements."""

    def exists(self) -> bool:
        """Return whether the tables of a framework are there."""

    def create(self, connection: sa.Connection) -> None:
        """Make what tables need here: the GeoPackage's own tables, or schema and extension."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the writer's lock; it goes with the process.

        Raises
        ------
        SourceUnreachableError
            If another writer holds it longer than 30 s.
        """

    def transaction(self, bulks: Sequence[Bulk] = ()) -> AbstractContextManager[sa.Connection]:
        """Open one write transaction: it commits when the block ends well, else nothing happened.

        A home may read the bulks before the transaction begins.
        """

    def create_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Create a layer's history table, without indexes."""

    def add_bulk(self, connection: sa.Connection, bulk: Bulk) -> None:
        """Fill an empty history table."""

    def index_layer(self, connection: sa.Connection, layer: Layer) -> None:
        """Give a history table its indexes, the trigger that refuses overlaps, and the view."""

    def add_column(self, connection: sa.Connection, layer: Layer, attribute: Attribute) -> None:
        """Add an attribute's column; ``layer`` has it already."""

    def add_rows(self, connection: sa.Connection, layer: Layer, rows: pa.Table) -> None:
        """Add rows of `cityframe.store.tables.history_schema`."""

    def copy_rows(self, connection: sa.Connection, layer: Layer, copies: pa.Table) -> None:
        """Add rows that are as row ``source`` (a ``fid``) but for the other `COPY_COLUMNS`."""

    def close_rows(
        self, connection: sa.Connection, layer: Layer, fids: Sequence[int], number: int
    ) -> None:
        """Set ``release_to`` of rows that are known."""

    def add_entries(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table of the register; what it has beside their columns is its own."""

    def touched(self, connection: sa.Connection, layer: Layer, when: str) -> None:
        """Note extent and time of change where the home keeps them."""

    def read(self, query: sa.Select[Any]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query over one table, in its order; columns keep their names."""

    def meets(self, layer: Layer, bbox: Bbox) -> sa.ColumnElement[bool]:
        """Return the condition that a row's bounds meet (xmin, ymin, xmax, ymax)."""

    def name_view(
        self, connection: sa.Connection, layer: Layer, view: str, release: int, valid_at: str
    ) -> None:
        """Create (or replace) a view that shows a layer's state in a release."""

    def drop_view(self, connection: sa.Connection, view: str) -> None:
        """Drop a view that `name_view` made."""
