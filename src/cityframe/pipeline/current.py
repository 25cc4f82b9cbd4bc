"""The current state of a layer inside a cycle: the framework with the cycle's earlier changes."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import pandas as pd

from cityframe.core.frames import empty_frame, key_text
from cityframe.model.layer import Layer
from cityframe.pipeline.accounts import changes_in_order
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import read_plan, reference_time
from cityframe.reconcile import CurrentLayer, compose
from cityframe.store.framework import Framework


@dataclass
class StoredLayer:
    """A layer of the current release as it is at a moment, read as far as it is asked for.

    Features dated in advance can be matched, or they would be new in each delivery until they
    fall due; `all_rows` is what is so at the moment.
    """

    framework: Framework
    layer: Layer
    valid_at: dt.datetime

    def index(self) -> pd.DataFrame:
        """Return ``uid, key, digest`` of all features, those dated in advance too."""
        there = self.framework.index(self.layer, valid_at=self.valid_at)
        if self._ahead.empty:
            return there
        key = key_text(self._ahead, self.layer.key)
        ahead = pd.DataFrame(
            {"uid": self._ahead["uid"], "key": key, "digest": self._ahead["digest"]}
        )
        return pd.concat([there, ahead], ignore_index=True).sort_values("uid", ignore_index=True)

    def rows(self, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return features by uid, in the order of the uids."""
        wanted = pd.Index(list(uids), dtype="str")
        is_ahead = wanted.isin(self._ahead["uid"])
        there = self.framework.rows(self.layer, wanted[~is_ahead].tolist(), valid_at=self.valid_at)
        if not is_ahead.any():
            return self._contract_columns(there)
        both = pd.concat([there, self._ahead], ignore_index=True)
        places = pd.Index(both["uid"]).get_indexer(wanted)
        return self._contract_columns(both.iloc[places].reset_index(drop=True))

    @cached_property
    def _ahead(self) -> gpd.GeoDataFrame:
        return self.framework.dated_ahead(self.layer, self.valid_at)

    def all_rows(self) -> gpd.GeoDataFrame:
        """Return all features that are there at the moment."""
        current = self.framework.current()
        if current is None:
            return empty_frame(self.layer, ("uid",))
        return self._contract_columns(
            self.framework.as_of(self.layer, current.number, valid_at=self.valid_at)
        )

    def _contract_columns(self, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        return frame[["uid", *self.layer.attribute_names, "geometry"]]


def current_layer(city: City, cycle: str, layer: Layer) -> CurrentLayer:
    """Return a layer as the cycle's next delivery must see it."""
    moment = reference_time(city, read_plan(city, cycle))
    current: CurrentLayer = StoredLayer(city.framework, layer, moment)
    for changes in changes_in_order(city, cycle, layer):
        current = compose(current, changes)
    return current


def removal_history(city: City, layer: str) -> list[float]:
    """Return the share of a layer that each release after the first removed."""
    shares: list[float] = []
    before = 0
    for release in city.framework.releases():
        version = next((one for one in release.layers if one.layer == layer), None)
        if version is None:
            continue
        if before:
            shares.append(version.changes.get("removed", 0) / before)
        before = version.count
    return shares
