"""The list for the department that must mend its data: CSV as spreadsheets open it."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import Transformer

from cityframe.model.layer import Layer
from cityframe.model.report import Report
from cityframe.model.text import Title
from cityframe.products.report.columns import GeometryArray
from cityframe.products.report.field_titles import FIELD_TITLES, GATES, STATES, both
from cityframe.products.report.listing import Listing, source_titles

# spreadsheets take full-width signs for the same
_FORMULA = r"^\s*[=+\-@＝＋－＠]|^[\t\r\n]"
_RECORD = both(FIELD_TITLES["record"])


def mending_csv(listing: Listing, report: Report, layers: Mapping[str, Layer]) -> bytes:
    """Return the findings that are still there as CSV, most severe first.

    UTF-8 with a byte order mark, CRLF, one row a finding under one row of titles in Chinese and
    English. ``longitude`` and ``latitude`` (WGS 84, eight decimals) and the coordinates in the
    layer's CRS (metres, three decimals) are of one point on the place of the finding; empty where
    it has none. A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    kept = ~listing.table["is_fixed"].to_numpy(dtype=bool)
    table = listing.table.loc[kept].reset_index(drop=True)
    titles = {name: layer.title for name, layer in layers.items()}
    rules = {one.rule: one.title for one in report.results}
    sources = source_titles(report, table["delivery"].unique())
    place = _coordinates(listing.geometry[kept], table["crs"])
    columns = {
        "缺陷类别 Defect class": table["defect_class"],
        "关口 Gate": _named(table["gate"], GATES),
        "问题状态 State": _named(table["state"], STATES),
        "例外编号 Waiver": table["waiver"].where(
            (table["waiver"] != "") | ~table["is_waived"], "例外 waived"
        ),
        "数据源 Source": _named(table["delivery"], sources),
        "来源编号 Source key": table["source_key"],
        _RECORD: table["record"],
        "图层 Layer": _named(table["layer"], titles),
        "标识 uid": table["uid"],
        "相关要素 Other features": table["other"],
        "规则 Rule": _named(table["rule"], rules),
        "实际": table["found_zh"],
        "要求": table["expected_zh"],
        "Found": table["found"],
        "Expected": table["expected"],
        **place,
        "坐标系 CRS": table["crs"],
        "首见周期 First seen in": table["first_seen"],
        "批次 Delivery": table["delivery"],
        both(FIELD_TITLES["finding_id"]): table["finding_id"],
    }
    plain = pd.DataFrame(
        {
            title: values if title == _RECORD or title in place else _guarded(values)
            for title, values in columns.items()
        }
    )
    text = plain.to_csv(index=False, lineterminator="\r\n")
    return b"\xef\xbb\xbf" + str(text).encode()


def _named(column: pd.Series, titles: Mapping[str, Title]) -> pd.Series:
    names = {value: both(titles[value]) if value in titles else value for value in column.unique()}
    return column.map(names)


def _guarded(column: pd.Series) -> pd.Series:
    texts = column.astype("str")
    return texts.where(~texts.str.contains(_FORMULA, regex=True), "'" + texts)


def _coordinates(geometry: GeometryArray, codes: pd.Series) -> dict[str, pd.Series]:
    points = _points_on(geometry)
    placed = ~shapely.is_missing(points)
    plane = np.full((len(points), 2), np.nan)
    plane[placed] = shapely.get_coordinates(points)
    degrees = np.full((len(points), 2), np.nan)
    for code in codes[placed].unique():
        here = placed & (codes == code).to_numpy()
        transformer = Transformer.from_crs(code, "EPSG:4326", always_xy=True)
        degrees[here] = np.column_stack(transformer.transform(plane[here, 0], plane[here, 1]))
    return {
        "经度 Longitude": _decimals(degrees[:, 0], 8),
        "纬度 Latitude": _decimals(degrees[:, 1], 8),
        "东坐标 East (m)": _decimals(plane[:, 0], 3),
        "北坐标 North (m)": _decimals(plane[:, 1], 3),
    }


def _points_on(geometry: GeometryArray) -> GeometryArray:
    # an invalid polygon has no interior to speak of: its first vertex stands for it
    sound = shapely.is_valid(geometry)
    points = np.full(len(geometry), None, dtype=object)
    points[sound] = shapely.point_on_surface(geometry[sound])
    broken = np.flatnonzero(~sound & ~shapely.is_missing(geometry))
    coordinates, owner = shapely.get_coordinates(geometry[broken], return_index=True)
    _, first = np.unique(owner, return_index=True)
    points[broken] = shapely.points(coordinates[first])
    return points


def _decimals(values: npt.NDArray[np.float64], decimals: int) -> pd.Series:
    texts = np.char.mod(f"%.{decimals}f", values)
    return pd.Series(np.where(np.isfinite(values), texts, ""))
