"""Defects sown for the kinds about the attributes of single features."""

from collections.abc import Callable, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.core.frames import with_column_types
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import Sowing

SIZE = 400
TYPES = {
    "name": "string", "no": "string", "usage": "string", "height": "real", "storeys": "integer",
    "area": "real", "built_on": "date", "razed_on": "date", "surveyed_on": "date",
}  # fmt: skip
LAYER = Layer(
    name="buildings", title=Title(zh="房屋", en="Buildings"), geometry=GeometryType.POLYGON,
    crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=("no",),
    attributes=tuple(
        Attribute(
            name=name,
            type=AttributeType(kind),
            title=Title(zh=name, en=name),
            codes=("house", "shop") if name == "usage" else (),
            unit={"area": "m2", "height": "m"}.get(name, ""),
        )
        for name, kind in TYPES.items()
    ),
)  # fmt: skip


def clean() -> pd.DataFrame:
    """Return buildings without a defect; every third lacks what may be lacking."""
    rows = np.arange(SIZE)
    is_razed = rows % 3 > 0
    return pd.DataFrame(
        {
            "uid": [f"b{row:03d}" for row in rows],
            "name": [f"人民路 {row} 号" for row in rows],
            "no": [f"{row:06d}" for row in rows],
            "usage": np.where(rows % 2, "house", "shop"),
            "height": 3.5 * (rows % 7 + 1.0),
            "storeys": rows % 7 + 1,
            "area": 100.0,
            "built_on": pd.Timestamp("1990-05-05"),
            "razed_on": np.where(is_razed, np.datetime64("2001-01-01", "s"), np.datetime64("NaT")),
            "surveyed_on": pd.Timestamp("2025-05-05"),
        }
    ).astype({"usage": "str", "storeys": "Int64"})


def sowing(
    column: str,
    bad: list[Any],
    parameters: Mapping[str, Any],
    *,
    fine: list[Any] | None = None,
    more: Callable[[pd.DataFrame], list[int]] | None = None,
) -> Callable[[], Sowing]:
    """Return a sowing: bad values in every eleventh row from 20, near-limit ones after them.

    ``more`` sows further defects and gives their rows.
    """

    def sow() -> Sowing:
        table = clean()
        row = 20 + 11 * np.arange(len(bad) + len(fine or []))
        table[column] = table[column].astype(object)
        for place, value in zip(row, [*bad, *(fine or [])], strict=True):
            table.loc[place, column] = value
        failing = [*row[: len(bad)], *(more(table) if more else [])]
        x, y = np.arange(SIZE) % 20 * 20.0, np.arange(SIZE) // 20 * 20.0
        boxes = shapely.box(x, y, x + 10, y + 10)
        frame = gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(boxes, crs=LAYER.crs))
        uids = frame["uid"].to_numpy(dtype=object)
        return Sowing(LAYER, with_column_types(frame, LAYER), parameters, frozenset(uids[failing]))

    return sow


def first_holder(table: pd.DataFrame) -> list[int]:
    """Return the row that had the number first."""
    return table.index[table["no"] == "000007"].tolist()[:1]


def near_names(table: pd.DataFrame) -> list[int]:
    """Write one road in many ways; three features write it as they should."""
    table.loc[[300, 301, 302], "name"] = "Ring Road 10"
    table.loc[[303, 304, 305, 306, 307], "name"] = [
        "ring road 10", "Ｒing Road 10", "RingRoad 10", "Ring Road 1O", "Ring-Road 10",
    ]  # fmt: skip
    table.loc[[308, 309], "name"] = ["Ring Road 11", "Ring Road"]
    return [303, 304, 305, 306, 307]


def lower(table: pd.DataFrame) -> list[int]:
    """Make buildings too low for their storeys; one of unknown height, one just high enough."""
    table.loc[[300, 301], "height"] = [2.4, 0.0]
    table.loc[[302, 303], "height"] = [None, 2.5 * table.loc[303, "storeys"]]
    return [300, 301]


def late(table: pd.DataFrame) -> list[int]:
    """Raze before building; one on the day itself."""
    table.loc[[300, 301], "built_on"] = pd.Timestamp("2002-01-01")
    table.loc[[300, 301], "razed_on"] = pd.to_datetime(["1980-01-01", "2001-12-31"])
    table.loc[302, "razed_on"] = table.loc[302, "built_on"]
    return [300, 301]


def storeyless(table: pd.DataFrame) -> list[int]:
    """Take the storeys of houses, which must have them, and of shops, which need not."""
    table.loc[[301, 303], "storeys"] = None  # odd rows are houses
    table.loc[[302, 304], "storeys"] = None
    return [301, 303]


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


SOWINGS = {
    "mandatory": sowing("name", [None] * 4, {"column": "name"}, fine=["", "null", "NA"]),
    "unique": sowing("no", ["000007"] * 3, {}, fine=[None, None, "7"], more=first_holder),
    "id_pattern": sowing(
        "no",
        ["12345", "1234567", "12345x", "123456\n", "１23456", ""],
        {"column": "no", "pattern": "[0-9]{6}"},
        fine=[None, "999999"],
    ),
    "codes": sowing("usage", ["barn", "House", "shop ", ""], {"column": "usage"}, fine=[None]),
    "range": sowing(
        "height",
        [1.999, 100.001, -5.0, 1e9],
        {"column": "height", "min": 2, "max": 100, "unit": "m"},
        fine=[2.0, 100.0, None],
    ),
    "subtype_conditional": sowing(
        "storeys",
        [],
        {"when": {"column": "usage", "values": ["house"]}, "column": "storeys", "required": True},
        more=storeyless,
    ),
    "cross_field": sowing("height", [], {"expression": "height >= 2.5 * storeys"}, more=lower),
    "registered_area": sowing(
        "area",
        [94.9, 106.0, 0.0, 1e6],
        {"column": "area", "share": 0.05},
        fine=[95.3, 105.2, None],
    ),
    "illegal_characters": sowing(
        "name",
        ["a\u0007", " b", "c\ufffd", "d\u200be", "f\u3000", "g|h", "\ue000"],
        {"column": "name", "also": "|", "near_names": True},
        fine=[None, "O'Brien-Straße (Süd)", "x y"],
        more=near_names,
    ),
    "interval_order": sowing("razed_on", [], {"start": "built_on", "end": "razed_on"}, more=late),
    "currency": sowing(
        "surveyed_on",
        [day("2020-01-01"), day("2024-12-31")],
        {"column": "surveyed_on", "max_days": 365},
        fine=[day("2025-01-01"), None],
    ),
    "impossible_date": sowing(
        "built_on",
        [day("1066-10-14"), day("1899-12-31"), day("2026-01-02"), day("2999-01-01")],
        {"column": "built_on"},
        fine=[day("1900-01-01"), day("2026-01-01"), None],
    ),
}
