"""All that was ever known of one feature."""

from collections.abc import Hashable
from dataclasses import asdict
from typing import Any

import pandas as pd
import shapely

from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.pipeline.city import City
from cityframe.store.lineage import ancestors, descendants, resolve

_COLUMNS = (
    "release_from", "release_to", "valid_from", "valid_to", "change", "has_new_attributes",
    "delivery", "record",
)  # fmt: skip


def feature_history(city: City, uid: str) -> dict[str, Any]:
    """Return the rows of a uid on both time axes, JSON-ready.

    Returns
    -------
    dict
        ``layer, uid, rows``; each row has ``release_from, release_to, valid_from, valid_to,
        change, delivery, record, attributes`` and ``geometry`` (WKT in the layer's CRS).
        ``status`` and ``successors``: where the uid leads today; ``ancestors``, ``descendants``:
        events (``release, layer, event, parent, child, share``), oldest first.

    Raises
    ------
    DeclarationError
        If no layer ever had this uid.
    IntegrityError
        If it ended, and no event says what became of it.
    """
    found = city.framework.history(uid)
    if found.empty:
        raise DeclarationError(
            where=city.framework.label,
            found=f"no feature {uid!r}",
            remedy="see `cityframe diff A B --features` for uids",
        )
    layer = city.framework.contract(str(found["layer"].iloc[0]))
    rows = [_row(row, layer) for row in found.to_dict(orient="records")]
    led = resolve(city.framework, uid)
    return {
        "layer": layer.name,
        "uid": uid,
        "status": led.status.value,
        "successors": list(led.successors),
        "ancestors": [asdict(one) for one in ancestors(city.framework, uid)],
        "descendants": [asdict(one) for one in descendants(city.framework, uid)],
        "rows": rows,
    }


def _row(row: dict[Hashable, Any], layer: Layer) -> dict[str, Any]:
    geometry = row.get("geometry")
    return {
        **{name: _plain(row[name]) for name in _COLUMNS},
        "attributes": {name: _plain(row[name]) for name in layer.attribute_names},
        "geometry": None if geometry is None else shapely.to_wkt(geometry, rounding_precision=4),
    }


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, pd.Timestamp):
        is_date = value.tzinfo is None
        return value.date().isoformat() if is_date else value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.item() if hasattr(value, "item") else value
