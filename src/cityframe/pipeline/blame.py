"""Which delivery brought the state of a feature that a candidate's finding is about."""

import geopandas as gpd
import pandas as pd

from cityframe.model.layer import Layer
from cityframe.pipeline.city import City
from cityframe.store.candidate import Candidate, read_changes_in_effect


def with_blame(
    city: City, candidate: Candidate, layer: Layer, findings: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Return the findings of a candidate with the ``delivery`` that brought the feature's state.

    It is that of the candidate's change of the feature, else of the framework's row; empty for a
    finding about the whole layer. Where two features fail together it is the later one's, the
    finding's own if both came at once. Only the features of findings are looked up.
    """
    named = pd.concat([findings["uid"], findings["partner"]])
    uids = named[named != ""].drop_duplicates()
    if uids.empty:
        return findings
    brought = _brought(city, candidate, layer, uids)
    own, partner = (
        brought.reindex(findings[column]).set_axis(findings.index) for column in ("uid", "partner")
    )
    is_partners = partner["release"].fillna(0) > own["release"].fillna(0)
    delivery = own["delivery"].mask(is_partners, partner["delivery"])
    return findings.assign(delivery=delivery.astype("str").fillna(""))


def _brought(city: City, candidate: Candidate, layer: Layer, uids: pd.Series) -> pd.DataFrame:
    """Return ``delivery`` and ``release`` of features, by uid."""
    parts = []
    if layer.name in candidate.files:
        changes = read_changes_in_effect(candidate, layer)
        mine = changes.loc[changes["uid"].isin(uids), ["uid", "delivery"]]
        parts.append(pd.DataFrame(mine).assign(release=candidate.parent + 1))
    changed = [uid for part in parts for uid in part["uid"]]
    others = uids[~uids.isin(changed)].tolist()
    names = ("uid", "delivery", "valid_from", "valid_to", "release_from")
    rows = city.framework.known_rows(layer, others, names).to_pandas()
    moment = pd.Timestamp(candidate.valid_at)
    holds = (rows["valid_from"] <= moment) & ~(rows["valid_to"] <= moment)
    there = rows[holds].rename(columns={"release_from": "release"})
    parts.append(there[["uid", "delivery", "release"]])
    return (
        pd.concat([part for part in parts if len(part)] or parts)
        .drop_duplicates("uid")
        .set_index("uid")
    )
