import csv
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from cityframe.demo import CityManifest, generate_city
from cityframe.demo.feeds import columns
from cityframe.demo.feeds.columns import Feed
from cityframe.demo.layers import KEYS

CRS = "EPSG:4547"
SHAPEFILES = {feed.layer: feed for feed in columns.BASE_SURVEY}
GEOPACKAGE = {feed.layer: feed for feed in (*columns.NETWORK_SURVEY, columns.BOUNDARIES)}


def in_own_words(frame: pd.DataFrame, feed: Feed) -> pd.DataFrame:
    """Rename a source's columns to attributes and translate its words to codes."""
    names = {name: attribute for attribute, name in feed.columns.items()}
    frame = frame.rename(columns=names)
    for attribute, words in feed.words.items():
        codes = {word: code for code, word in words.items()}
        column = frame[attribute].astype(object)
        frame[attribute] = column.map(lambda value, codes=codes: codes.get(value, value))
    return frame


class Delivery:
    """The files of one delivery, read without any of the project's readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def layer(self, name: str) -> gpd.GeoDataFrame | None:
        """Return a layer as it stands in the files; None if the delivery does not hold it."""
        if name in SHAPEFILES:
            path = f"/vsizip/{self.folder}/survey_base.zip/{SHAPEFILES[name].table}.shp"
            frame = pyogrio.read_dataframe(path, encoding="GBK")
            return in_own_words(frame, SHAPEFILES[name])
        if name in GEOPACKAGE:
            path, table = self.folder / "survey_network.gpkg", GEOPACKAGE[name].table
            if table not in pyogrio.list_layers(path)[:, 0]:
                return None
            return in_own_words(pyogrio.read_dataframe(path, layer=table), GEOPACKAGE[name])
        return {"addresses": self._addresses, "sensors": self._sensors}[name]()

    def _addresses(self) -> gpd.GeoDataFrame:
        connection = sqlite3.connect(self.folder / "departmental.sqlite")
        cursor = connection.execute("SELECT * FROM address")
        names = [column[0] for column in cursor.description]
        frame = pd.DataFrame(cursor.fetchall(), columns=names)
        connection.close()
        points = gpd.points_from_xy(frame.pop("x"), frame.pop("y"))
        frame = in_own_words(frame, columns.ADDRESSES)
        return gpd.GeoDataFrame(frame, geometry=points, crs=CRS)

    def _sensors(self) -> gpd.GeoDataFrame:
        book = openpyxl.load_workbook(self.folder / "sensors.xlsx", read_only=True)
        rows = list(book["传感器"].iter_rows(values_only=True))
        book.close()
        frame = pd.DataFrame(rows[1:], columns=rows[0])
        to_metres = Transformer.from_crs("EPSG:4490", CRS, always_xy=True)
        x, y = to_metres.transform(frame.pop("经度"), frame.pop("纬度"))
        frame = in_own_words(frame, columns.SENSORS)
        return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(x, y), crs=CRS)

    def table(self, name: str, encoding: str) -> pd.DataFrame:
        """Return a CSV file as text."""
        with (self.folder / name).open(encoding=encoding, newline="") as file:
            header, *rows = list(csv.reader(file))
        return pd.DataFrame(rows, columns=header, dtype="str")

    def pois(self) -> pd.DataFrame:
        """Return the operations on points of interest."""
        return in_own_words(self.table("pois.csv", "gb18030"), columns.POIS)

    def housing(self) -> pd.DataFrame:
        """Return the entries of the housing register."""
        return in_own_words(self.table("housing.csv", "utf-8-sig"), columns.HOUSING)


class City:
    """A generated city on disk."""

    def __init__(self, folder: Path, manifest: CityManifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._read: dict[tuple[int, str], gpd.GeoDataFrame | None] = {}

    def delivery(self, number: int) -> Delivery:
        return Delivery(self.folder / f"delivery_{number}")

    def layer(self, number: int, name: str) -> gpd.GeoDataFrame:
        """Return a layer of a delivery by its key."""
        if (number, name) not in self._read:
            self._read[number, name] = self.delivery(number).layer(name)
        frame = self._read[number, name]
        assert frame is not None
        return frame

    def keyed(self, number: int, name: str) -> gpd.GeoDataFrame:
        return self.layer(number, name).set_index(KEYS[name], drop=False)


@pytest.fixture(scope="session")
def make_city(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., City]:
    def make(buildings: int, deliveries: int, seed: int) -> City:
        folder = tmp_path_factory.mktemp("city") / "feeds"
        manifest = generate_city(
            folder, buildings=buildings, deliveries=deliveries, seed=seed, progress=lambda _: None
        )
        return City(folder, manifest)

    return make


@pytest.fixture(scope="session")
def city(make_city: Callable[..., City]) -> Iterator[City]:
    """A small city with four deliveries."""
    return make_city(900, 4, 3)


@pytest.fixture
def shared_ends() -> Callable[[np.ndarray], np.ndarray]:
    return _shared_ends


def _shared_ends(lines: np.ndarray) -> np.ndarray:
    """Return how many line ends lie on each line's start and end, n × 2."""
    ends = np.stack(
        [
            shapely.get_coordinates(shapely.get_point(lines, 0)),
            shapely.get_coordinates(shapely.get_point(lines, -1)),
        ],
        axis=1,
    )
    _, place, counts = np.unique(
        ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True
    )
    return counts[place.ravel()].reshape(-1, 2)
