"""What reconciling a delivery leaves beside its changes, and what of it a cycle comes to."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import pandas as pd

from cityframe.model.change import ChangeKind
from cityframe.model.layer import Layer
from cityframe.pipeline.accounts import accounts, delivery_folder
from cityframe.pipeline.city import City
from cityframe.pipeline.feed_history import write_absences
from cityframe.pipeline.frames_on_disk import read_frame, read_table, write_frame, write_table
from cityframe.reconcile import Reconciled
from cityframe.reconcile.net_lineage import net_lineage
from cityframe.store.framework import Framework

LINEAGE, BRIDGE, PROVENANCE = "lineage", "bridge", "provenance"


def write_reconciled(folder: Path, feed: str, reconciled: Reconciled) -> None:
    """Leave the outcome of one feed in its delivery's folder."""
    write_frame(folder / f"{feed}.changes.parquet", reconciled.changes)
    write_frame(folder / f"{feed}.questions.parquet", reconciled.questions)
    for name, table in (
        (LINEAGE, reconciled.lineage),
        (BRIDGE, reconciled.bridge),
        (PROVENANCE, reconciled.provenance),
    ):
        write_table(folder / f"{feed}.{name}.parquet", table)
    write_absences(folder, feed, reconciled.absent)


def changes_and_bridges(
    city: City, cycle: str, layer: Layer
) -> Iterator[tuple[gpd.GeoDataFrame, pd.DataFrame]]:
    """Yield change table and bridge rows of a layer by delivery, the quarantined ones left out."""
    for place in _places(city, cycle, layer):
        changes = read_frame(_file(place, "changes"), layer)
        yield changes, read_table(_file(place, BRIDGE))


def lineage_of_cycle(
    city: City, cycle: str, layer: Layer, changes: gpd.GeoDataFrame
) -> pd.DataFrame:
    """Return the lineage that a cycle comes to.

    Parameters
    ----------
    changes : GeoDataFrame
        All changes of the cycle to the layer, in order.

    Returns
    -------
    DataFrame
        ``layer, event, parent, child, share``: events whose parent a former release has, and
        whose child stands when the cycle ends.
    """
    parts = [read_table(_file(place, LINEAGE)) for place in _places(city, cycle, layer)]
    return net_lineage(parts, changes).assign(layer=layer.name)


def bridge_of_cycle(
    city: City, cycle: str, layer: Layer, framework: Framework, changes: gpd.GeoDataFrame
) -> pd.DataFrame:
    """Return the names that a cycle gives or moves; those of features that end are left out."""
    rows = _tables(city, cycle, layer, BRIDGE)
    if rows.empty:
        return rows
    last = rows.drop_duplicates(["source", "source_id"], keep="last")
    return last[last["uid"].isin(_stands(framework, layer, changes, last["uid"]))]


def provenance_of_cycle(
    city: City, cycle: str, layer: Layer, framework: Framework, changes: gpd.GeoDataFrame
) -> pd.DataFrame:
    """Return the provenance of what a cycle takes over; that of features that end is left out."""
    rows = _tables(city, cycle, layer, PROVENANCE)
    if rows.empty:
        return rows
    return rows[rows["uid"].isin(_stands(framework, layer, changes, rows["uid"]))]


def _stands(
    framework: Framework, layer: Layer, changes: gpd.GeoDataFrame, uids: pd.Series
) -> set[str]:
    """Return those of the uids that are there when the cycle ends."""
    last = changes.drop_duplicates("uid", keep="last")
    is_removed = last["change"] == ChangeKind.REMOVED.value
    known = set(framework.known_uids(layer, sorted(set(uids))))
    return (known | set(last.loc[~is_removed, "uid"])) - set(last.loc[is_removed, "uid"])


def _tables(city: City, cycle: str, layer: Layer, name: str) -> pd.DataFrame:
    """Return one kind of table of a layer that a cycle changes, from its deliveries in order."""
    parts = [read_table(_file(place, name)) for place in _places(city, cycle, layer)]
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True)


def _places(city: City, cycle: str, layer: Layer) -> Iterator[tuple[Path, str]]:
    """Yield folder and feed of the deliveries that were not quarantined."""
    for account in accounts(city, cycle):
        if account.quarantine_reasons:
            continue
        for feed in account.feeds:
            if feed.partition("-")[2] == layer.name:
                yield delivery_folder(city, cycle, account.delivery), feed


def _file(place: tuple[Path, str], name: str) -> Path:
    folder, feed = place
    return folder / f"{feed}.{name}.parquet"
