"""Geometries from well-known binary; what can't be read is told, not lost."""

from collections.abc import Sequence

import numpy as np
import shapely

from cityframe.core.source_table import GeometryArray


def from_wkb(encoded: Sequence[bytes | None]) -> tuple[GeometryArray, dict[int, str]]:
    """Return the geometries, and why those that can't be read are null, by their place."""
    wkb = np.empty(len(encoded), dtype=object)
    wkb[:] = encoded
    geometry: GeometryArray = shapely.from_wkb(wkb, on_invalid="ignore")
    # a null among the bytes stands for no geometry
    unread = np.flatnonzero(shapely.is_missing(geometry) & (wkb != None))  # noqa: E711
    return geometry, {int(place): f"unreadable geometry: {_reason(wkb[place])}" for place in unread}


def _reason(encoded: bytes) -> str:
    try:
        shapely.from_wkb(encoded)
    except shapely.errors.GEOSException as error:
        return str(error)
    return "unknown"
