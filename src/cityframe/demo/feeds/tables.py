"""Tables of departments: SQLite, CSV in two encodings, XLSX."""

import csv
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import openpyxl
import pandas as pd
import shapely
from pyproj import Transformer

from cityframe.demo.arrays import Days
from cityframe.demo.feeds.columns import ADDRESSES, HOUSING, POIS, SENSORS, Feed
from cityframe.demo.feeds.vector import source_table
from cityframe.demo.layout.plan import CRS

OPERATION_COLUMN = "操作"
OPERATIONS = {"insert": "新增", "update": "修改", "delete": "删除"}
SENSOR_CRS = "EPSG:4490"
_FIXED_TIME = (2024, 1, 1, 0, 0, 0)
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_ODD_SPELLING = 20
_CREATE = (
    "CREATE TABLE address (id TEXT PRIMARY KEY, full_text TEXT, district TEXT, road TEXT, "
    "house_no TEXT, building_no TEXT, unit_no TEXT, state TEXT, x REAL, y REAL, "
    "updated_at TEXT) WITHOUT ROWID"
)
_INSERT = "INSERT INTO address VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def _records(rows: pd.DataFrame, feed: Feed) -> Iterator[tuple[Any, ...]]:
    columns = [array.to_pylist() for array in source_table(rows, feed).values()]
    return zip(*columns, strict=True)


class AddressDatabase:
    """``departmental.sqlite`` with the table ``address``: all addresses as of the delivery."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_CREATE)

    def write(self, rows: pd.DataFrame, days: Days) -> None:
        """Add addresses; ``days`` are those of all deliveries up to this one."""
        geometry = rows["geometry"].to_numpy()
        places = zip(
            shapely.get_x(geometry).tolist(),
            shapely.get_y(geometry).tolist(),
            saved_at(rows, days),
            strict=True,
        )
        records = zip(_records(rows, ADDRESSES), places, strict=True)
        self._connection.execute("BEGIN")
        self._connection.executemany(_INSERT, (first + last for first, last in records))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def saved_at(rows: pd.DataFrame, days: Days) -> list[str]:
    """Return when each address was last saved: within the day before its delivery.

    What stood at the first delivery was saved in the ten months before.
    """
    saved_in = rows["saved_in"].to_numpy()
    spread = rows.index.to_numpy()
    before = np.where(saved_in == 1, 24 + spread * 37 % 300 * 24, 1 + spread % 20)
    moments = days[saved_in - 1].astype("datetime64[h]") - before.astype("timedelta64[h]")
    texts = np.datetime_as_string(moments.astype("datetime64[s]"))
    return [text.replace("T", " ") for text in texts.tolist()]


class CsvTable:
    """A CSV file that grows stretch by stretch."""

    def __init__(self, path: Path, encoding: str, header: list[str]) -> None:
        self._file: IO[str] = path.open("w", encoding=encoding, newline="")
        self._writer = csv.writer(self._file, lineterminator="\r\n")
        self._writer.writerow(header)

    def write(self, records: Iterator[tuple[Any, ...]]) -> None:
        """Add records; None stands as nothing."""
        self._writer.writerows(records)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def poi_header() -> list[str]:
    """Return the header of ``pois.csv``."""
    return [OPERATION_COLUMN, *POIS.columns.values()]


def poi_records(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Return the records of ``pois.csv``; ``rows`` has a column ``operation``.

    One address in `_ODD_SPELLING` is written with full-width digits and a space.
    """
    odd = [zlib.crc32(key.encode()) % _ODD_SPELLING == 0 for key in rows["poi_id"]]
    spelled = [
        text.translate(_FULL_WIDTH).replace("区", "区 ", 1) if is_odd else text
        for text, is_odd in zip(rows["address"], odd, strict=True)
    ]
    days = rows["opened_on"].dt.strftime("%Y/%m/%d")
    said = rows.assign(address=spelled, opened_on=days)
    operations = (
        rows["operation"]
        .map(OPERATIONS)
        .where(rows["operation"].isin(OPERATIONS), rows["operation"])
    )
    return (
        (operation, *record)
        for operation, record in zip(operations, _records(said, POIS), strict=True)
    )


def housing_header() -> list[str]:
    """Return the header of ``housing.csv``."""
    return list(HOUSING.columns.values())


def housing_records(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Return the records of ``housing.csv``."""
    return _records(rows, HOUSING)


class SensorBook:
    """``sensors.xlsx``: one sheet, places in longitude and latitude."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet(SENSORS.table)
        self._sheet.append([*SENSORS.columns.values(), "经度", "纬度"])
        self._to_degrees = Transformer.from_crs(CRS, SENSOR_CRS, always_xy=True)

    def write(self, rows: pd.DataFrame) -> None:
        """Add sensors; those with ``is_swapped`` have their coordinates exchanged."""
        geometry = rows["geometry"].to_numpy()
        degrees = np.column_stack(
            self._to_degrees.transform(shapely.get_x(geometry), shapely.get_y(geometry))
        )
        is_swapped = rows["is_swapped"].to_numpy(dtype=bool)
        degrees[is_swapped] = degrees[is_swapped][:, ::-1]
        places = np.round(degrees, 9).tolist()
        for record, place in zip(_records(rows, SENSORS), places, strict=True):
            self._sheet.append([*record, *place])

    def save(self) -> None:
        """Save the book with fixed times inside, so that its bytes repeat."""
        self._book.save(self._path)
        with zipfile.ZipFile(self._path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        core = parts["docProps/core.xml"].decode()
        moment = "2024-01-01T00:00:00Z"
        parts["docProps/core.xml"] = re.sub(
            r"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rf"\g<1>{moment}", core
        ).encode()
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                entry = zipfile.ZipInfo(name, _FIXED_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
