"""Which delivery brought the state of a feature that a candidate's finding is about."""

import geopandas as gpd
import pandas as pd

from cityframe.model.layer import Layer
from cityframe.pipeline.city import City
from cityframe.store.candidate import Candidate, read_changes_in_effect


def with_blame(
    city: City, candidate: Candidate, layer: Layer, findings: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Return the findings of a candidate with the ``delivery`` of each one's own feature.

    It is the delivery of the candidate's change of the feature, else of the framework's row; empty
    for a finding about the whole layer. Only the features of findings are looked up.
    """
    uids = findings["uid"][findings["uid"] != ""].drop_duplicates()
    if uids.empty:
        return findings
    brought = _by_change(candidate, layer)
    brought = brought[brought.index.isin(uids)]
    others = uids[~uids.isin(brought.index)].tolist()
    of_uid = pd.concat([_by_row(city, candidate, layer, others), brought])
    return findings.assign(delivery=findings["uid"].map(of_uid).astype("str").fillna(""))


def _by_change(candidate: Candidate, layer: Layer) -> pd.Series:
    if layer.name not in candidate.files:
        return pd.Series(dtype="str")
    changes = read_changes_in_effect(candidate, layer)
    return pd.Series(changes["delivery"].to_numpy(), index=changes["uid"])


def _by_row(city: City, candidate: Candidate, layer: Layer, uids: list[str]) -> pd.Series:
    names = ("uid", "delivery", "valid_from", "valid_to")
    rows = city.framework.known_rows(layer, uids, names).to_pandas()
    moment = pd.Timestamp(candidate.valid_at)
    holds = (rows["valid_from"] <= moment) & ~(rows["valid_to"] <= moment)
    there = rows[holds].drop_duplicates("uid")
    return pd.Series(there["delivery"].to_numpy(), index=there["uid"])
