"""The current state of a layer inside a cycle: the framework with the cycle's earlier changes."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import pandas as pd

from cityframe.core.frames import empty_frame, key_text
from cityframe.model.layer import Layer
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import read_plan, reference_time
from cityframe.pipeline.reconciled_tables import changes_and_bridges
from cityframe.reconcile import CurrentLayer, compose
from cityframe.store.framework import Framework
from cityframe.store.value_origins import standing, value_origins


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

    def standing(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return since when features are as they are, and which one source spoke of them."""
        return standing(self.framework, self.layer, uids, valid_at=self.valid_at)

    def origins(self, uids: Sequence[str]) -> pd.DataFrame:
        """Return who said the values of features, and when they were so."""
        return value_origins(self.framework, self.layer, uids, valid_at=self.valid_at)

    def base_rows(self, release: int, uids: Sequence[str]) -> gpd.GeoDataFrame:
        """Return features as a release had them; those it did not have are left out."""
        return self._contract_columns(self.framework.states_of(self.layer, uids, release))

    def known_uids(self, uids: Sequence[str]) -> Collection[str]:
        """Return those of the uids that the layer ever had in a release."""
        return self.framework.known_uids(self.layer, uids)

    def bridge(self, source: str) -> pd.DataFrame:
        """Return ``source_id``, ``uid``: which feature a source's names stand for."""
        return self.framework.bridge(self.layer, source)[["source_id", "uid"]]

    def _contract_columns(self, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        return frame[["uid", *self.layer.attribute_names, "geometry"]]


def current_layer(city: City, cycle: str, layer: Layer) -> CurrentLayer:
    """Return a layer as the cycle's next delivery must see it."""
    moment = reference_time(city, read_plan(city, cycle))
    current: CurrentLayer = StoredLayer(city.framework, layer, moment)
    for changes, bridge in changes_and_bridges(city, cycle, layer):
        current = compose(current, changes, bridge)
    return current
