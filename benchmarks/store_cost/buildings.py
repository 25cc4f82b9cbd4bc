"""Generated building polygons, and changes of them, as Parquet files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from store_cost.measure import Meter

BATCH_ROWS = 65_536
ROUNDS = 10
DIFF_CHANGES = 10_000
_NAMES = ("云川市第一中学教学楼", "滨江花园住宅", "人民医院门诊部", "仓库", "商业大厦", "变电站")
_USES = ("住宅", "商业", "工业", "公共")
_CELL_M = 20.0
_SHARES = {"attributes": 0.4, "moved": 0.2, "reshaped": 0.2, "removed": 0.1, "new": 0.1}

_ATTRIBUTES = (
    Attribute("name", AttributeType.STRING, Title(zh="名称", en="name")),
    Attribute("usage", AttributeType.STRING, Title(zh="用途", en="use")),
    Attribute("address", AttributeType.STRING, Title(zh="地址", en="address")),
    Attribute("floors", AttributeType.INTEGER, Title(zh="层数", en="floors")),
    Attribute("height_m", AttributeType.REAL, Title(zh="高度", en="height"), unit="m"),
    Attribute("built", AttributeType.DATE, Title(zh="建成日期", en="built")),
    Attribute("is_public", AttributeType.BOOLEAN, Title(zh="公共建筑", en="is public")),
    Attribute("code", AttributeType.STRING, Title(zh="编码", en="code")),
)
LAYER = Layer(
    name="buildings",
    title=Title(zh="房屋", en="buildings"),
    geometry=GeometryType.POLYGON,
    crs="EPSG:4547",
    precision_m=0.001,
    accuracy_m=0.25,
    key=("code",),
    attributes=_ATTRIBUTES,
)
SCHEMA = pa.schema(
    {
        "uid": pa.string(),
        "name": pa.string(),
        "usage": pa.string(),
        "address": pa.string(),
        "floors": pa.int64(),
        "height_m": pa.float64(),
        "built": pa.date32(),
        "is_public": pa.bool_(),
        "code": pa.string(),
        "geometry": pa.binary(),
    }
)


def generate(_meter: Meter, folder: Path, count: int, share: float) -> None:
    """Write ``before.parquet``, and ``change_01.parquet`` onward.

    The changes of different rounds touch different buildings. The last one has `DIFF_CHANGES`
    changes whatever the number of buildings, as far as there are buildings.
    """
    with pq.ParquetWriter(folder / "before.parquet", SCHEMA) as file:
        for start in range(0, count, BATCH_ROWS):
            numbers = np.arange(start, min(start + BATCH_ROWS, count))
            file.write_table(_table(numbers, numbers, seed=0))
    sizes = [max(int(count * share), 10)] * ROUNDS
    sizes.append(min(DIFF_CHANGES, count - sum(sizes)))
    order = np.random.default_rng(1).permutation(count)
    for number, changes in enumerate(_changes(order, sizes, count), start=1):
        pq.write_table(changes, change_path(folder, number))


def change_path(folder: Path, number: int) -> Path:
    """Return the file of a change: columns ``change``, ``has_new_attributes`` and `SCHEMA`'s."""
    return folder / f"change_{number:02d}.parquet"


def _changes(order: npt.NDArray[np.intp], sizes: list[int], count: int) -> Iterator[pa.Table]:
    start, next_number = 0, count
    for size in sizes:
        touched, start = order[start : start + size], start + size
        cuts = np.cumsum([int(size * share) for share in _SHARES.values()])
        parts = np.split(touched, cuts[:-1])
        tables = []
        for kind, numbers in zip(_SHARES, parts, strict=True):
            if kind == "new":
                fresh = np.arange(next_number, next_number + len(numbers))
                next_number += len(numbers)
                tables.append(_marked(_table(fresh, fresh, seed=0), kind))
            else:
                tables.append(_marked(_changed(np.sort(numbers), kind), kind))
        yield pa.concat_tables(tables)


def _changed(numbers: npt.NDArray[np.intp], kind: str) -> pa.Table:
    if kind == "removed":
        return _table(numbers, numbers, seed=0)
    if kind == "attributes":
        other = _table(numbers, numbers, seed=1)
        same = _table(numbers, numbers, seed=0)
        for name in ("usage", "floors", "height_m"):
            same = same.set_column(SCHEMA.get_field_index(name), name, other[name])
        return same
    if kind == "moved":
        return _table(numbers, numbers, seed=0, offset_m=2.0)
    return _table(numbers, numbers + 7_919, seed=0, place=numbers)


def _marked(table: pa.Table, kind: str) -> pa.Table:
    count = len(table)
    table = table.add_column(0, "change", pa.array([kind] * count, pa.string()))
    return table.add_column(1, "has_new_attributes", pa.array([kind == "attributes"] * count))


def _table(
    numbers: npt.NDArray[np.intp],
    shapes: npt.NDArray[np.intp],
    *,
    seed: int,
    offset_m: float = 0.0,
    place: npt.NDArray[np.intp] | None = None,
) -> pa.Table:
    """Return buildings by number; equal numbers give equal rows, in whatever batch."""
    draw = _Draws(numbers, seed)
    names, uses = np.array(_NAMES, dtype=object), np.array(_USES, dtype=object)
    texts = numbers.tolist()
    columns = {
        "uid": [f"b{number:011x}" for number in texts],
        "name": names[draw.below(len(_NAMES))],
        "usage": uses[draw.below(len(_USES))],
        "address": [f"滨江路{number % 3000}号{number % 17}栋" for number in texts],
        "floors": draw.below(32) + 1,
        "height_m": np.round(draw.share() * 90, 1),
        "built": np.datetime64("1980-01-01") + draw.below(15_000).astype("timedelta64[D]"),
        "is_public": draw.share() < 0.1,
        "code": [f"330106{number:08d}" for number in texts],
        "geometry": _outlines(shapes, numbers if place is None else place, offset_m),
    }
    return pa.table(columns, schema=SCHEMA)


def _outlines(
    shapes: npt.NDArray[np.intp], places: npt.NDArray[np.intp], offset_m: float
) -> npt.NDArray[np.object_]:
    """Return WKB of star-shaped polygons of 9 to 17 points (the last is the first)."""
    draw = _Draws(shapes, 99)
    corners = 8 + draw.below(9)
    ring = np.repeat(np.arange(len(shapes)), corners)
    first = np.repeat(np.cumsum(corners) - corners, corners)
    at = np.arange(len(ring)) - first
    angle = 2 * np.pi * at / corners[ring]
    rough = _Draws(shapes[ring] * 31 + at, 98).share()
    radius = (4 + 4 * draw.share())[ring] * (0.8 + 0.2 * rough)
    east = 500_000 + (places % 1_000) * _CELL_M + offset_m
    north = 3_400_000 + (places // 1_000) * _CELL_M
    x = np.round(east[ring] + radius * np.cos(angle), 3)
    y = np.round(north[ring] + radius * np.sin(angle), 3)
    rings = shapely.linearrings(np.stack([x, y], axis=1), indices=ring)
    encoded: npt.NDArray[np.object_] = shapely.to_wkb(
        shapely.polygons(rings), byte_order=1, flavor="iso"
    )
    return encoded


class _Draws:
    """Random numbers that depend on the building's number alone (splitmix64)."""

    def __init__(self, numbers: npt.NDArray[np.intp], seed: int) -> None:
        self._state = numbers.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03) + np.uint64(seed)

    def share(self) -> npt.NDArray[np.float64]:
        self._state = self._state + np.uint64(0x9E3779B97F4A7C15)
        mixed = self._state
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed = mixed ^ (mixed >> np.uint64(31))
        return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)

    def below(self, bound: int) -> npt.NDArray[np.intp]:
        return (self.share() * bound).astype(np.intp)
