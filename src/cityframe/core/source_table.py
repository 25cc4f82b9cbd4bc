"""A table as a source delivered it, before conforming."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

GeometryArray = npt.NDArray[np.object_]


@dataclass(frozen=True)
class SourceTable:
    """One table of a delivery, read but not interpreted.

    Attributes
    ----------
    file, table : str
        Path inside the delivery; layer or sheet name, empty for a format with one table.
    frame : DataFrame, n rows
        Columns as delivered, without geometry, RangeIndex: the row number is the record number.
        Text formats give text only; typed formats keep their types.
    geometry : ndarray of shapely geometries or None
        Length n, or None for a table without geometry.
    crs : str or None
        What the file says of its CRS: an authority code or WKT; None if it says nothing.
    encoding : str
        Text encoding that was used; empty for a binary format.
    defects : mapping of int to str
        What could not be read of a record, by its number: the reason, for a finding. The geometry
        or the values concerned are null.
    """

    file: str
    table: str
    frame: pd.DataFrame
    geometry: GeometryArray | None
    crs: str | None
    encoding: str = ""
    defects: Mapping[int, str] = field(default_factory=dict)
