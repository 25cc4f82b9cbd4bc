"""Write one delivery: all feeds of all sources, and what is true of them."""

from collections import Counter
from pathlib import Path

import pandas as pd

from cityframe.demo.arrays import Days
from cityframe.demo.changes.boundaries import has_boundaries
from cityframe.demo.changes.draft import Draft
from cityframe.demo.feeds.columns import BASE_SURVEY, BOUNDARIES, NETWORK_SURVEY
from cityframe.demo.feeds.messages import MessageFile
from cityframe.demo.feeds.tables import (
    AddressDatabase,
    CsvTable,
    SensorBook,
    housing_header,
    housing_records,
    poi_header,
    poi_records,
)
from cityframe.demo.feeds.vector import pack_shapefiles, write_vector
from cityframe.demo.truth import TrueChange, write_truth
from cityframe.model.change import ChangeKind

BASE_FILE = "survey_base.zip"
NETWORK_FILE = "survey_network.gpkg"
DATABASE_FILE = "departmental.sqlite"
POI_FILE = "pois.csv"
HOUSING_FILE = "housing.csv"
SENSOR_FILE = "sensors.xlsx"
MESSAGE_FILE = "mqtt.jsonl"
TRUTH_FILE = "truth.jsonl"

_GEOMETRY = {
    "buildings": "Polygon", "parcels": "Polygon", "roads": "LineString",
    "water_nodes": "Point", "water_pipes": "LineString", "sewer_nodes": "Point Z",
    "sewer_pipes": "LineString Z",
}  # fmt: skip


class DeliveryWriter:
    """The files of one delivery while they are written, stretch by stretch."""

    def __init__(self, folder: Path, delivery: int, days: Days) -> None:
        self.folder = folder
        self.delivery = delivery
        self.features: Counter[str] = Counter()
        self._days = days[:delivery]
        self._begun: set[str] = set()
        folder.mkdir(parents=True)
        self._addresses = AddressDatabase(folder / DATABASE_FILE)
        self._pois = CsvTable(folder / POI_FILE, "gb18030", poi_header())
        self._housing = CsvTable(folder / HOUSING_FILE, "utf-8-sig", housing_header())
        self._sensors = SensorBook(folder / SENSOR_FILE)
        self._messages = MessageFile(folder / MESSAGE_FILE)

    def write_boundaries(self, draft: Draft) -> None:
        """Write the boundaries, if the delivery has them."""
        self.features["boundaries"] += int(draft.things["boundaries"]["is_alive"].sum())
        if has_boundaries(self.delivery):
            rows = draft.delivered["boundaries"]
            path = self.folder / NETWORK_FILE
            write_vector(path, rows, BOUNDARIES, "Polygon", is_first=True)
        write_truth(self.folder / TRUTH_FILE, draft.lines)

    def write(self, draft: Draft) -> None:
        """Write a stretch of the city: records in no order, and only what each feed holds."""
        for layer, table in draft.things.items():
            self.features[layer] += int(table["is_alive"].sum())
        shuffled = {
            layer: table.iloc[draft.random.permutation(len(table))]
            for layer, table in draft.delivered.items()
        }
        for feed, path in (
            *((feed, self.folder / f"{feed.table}.shp") for feed in BASE_SURVEY),
            *((feed, self.folder / NETWORK_FILE) for feed in NETWORK_SURVEY),
        ):
            is_first = feed.table not in self._begun
            kind = _GEOMETRY[feed.layer]
            write_vector(path, shuffled[feed.layer], feed, kind, is_first=is_first)
            self._begun.add(feed.table)
        self._addresses.write(shuffled["addresses"], self._days)
        self._sensors.write(shuffled["sensors"])
        self._messages.write(draft.delivered["sensors"], draft.day, draft.random)
        self._pois.write(poi_records(delivered_pois(draft)))
        self._housing.write(housing_records(delivered_housing(draft)))
        write_truth(self.folder / TRUTH_FILE, draft.lines)

    def close(self) -> None:
        """Close the files that are open."""
        for file in (self._addresses, self._pois, self._housing, self._messages):
            file.close()

    def finish(self) -> None:
        """Complete the delivery, once all stretches are written."""
        self.close()
        self._sensors.save()
        write_truth(self.folder / TRUTH_FILE, [self._messages.truth()])
        names = [feed.table for feed in BASE_SURVEY]
        pack_shapefiles(self.folder, self.folder / BASE_FILE, names)


def delivered_pois(draft: Draft) -> pd.DataFrame:
    """Return the operations on points of interest: at first all are inserted.

    Later only what this delivery touched: changed, spoiled or sent once more.
    """
    rows = draft.delivered["pois"]
    if draft.delivery == 1:
        return rows.assign(operation="insert")
    state = draft.things["pois"]
    is_touched = state["touched"] == draft.delivery
    closed = state[is_touched & ~state["is_alive"]]
    # records beside the state's come after it
    is_told = is_touched.reindex(rows.index, fill_value=True)
    told = pd.concat([rows[is_told], closed])
    operations = {
        line.key: {ChangeKind.NEW: "insert", ChangeKind.REMOVED: "delete"}.get(
            line.change, "update"
        )
        for line in draft.lines
        if isinstance(line, TrueChange) and line.layer == "pois"
    }
    operation = told["poi_id"].map(operations).astype(object).fillna("update")
    if "operation" in told.columns:
        operation = told["operation"].where(told["operation"].notna(), operation)
    return told.assign(operation=operation)


def delivered_housing(draft: Draft) -> pd.DataFrame:
    """Return what the housing department says: at first its register, later what is new in it."""
    state = draft.delivered["buildings"]
    is_told = state["is_registered"].astype(bool) & (state["registered_in"] == draft.delivery)
    register = state[is_told & (state.index < len(draft.things["buildings"]))]
    return pd.concat([register, draft.delivered.get("housing", register.iloc[:0])])
