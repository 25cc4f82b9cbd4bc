"""The difference between any two releases, by kind and feature."""

from dataclasses import dataclass

import geopandas as gpd
import pandas as pd

from cityframe.core.digest import geometry_bytes
from cityframe.model.change import ChangeKind
from cityframe.model.layer import GeometryType, Layer
from cityframe.pipeline.city import City


@dataclass(frozen=True)
class LayerDifference:
    """One layer's difference from an older to a newer release.

    Attributes
    ----------
    features : DataFrame
        ``uid, change, has_new_attributes``, sorted by uid; one row a feature that differs.
    before, after : GeoDataFrame
        The features as the older and the newer release have them, sorted by uid.
    """

    layer: Layer
    features: pd.DataFrame
    before: gpd.GeoDataFrame
    after: gpd.GeoDataFrame

    def counts(self) -> dict[str, int]:
        """Return the number of features by kind."""
        kinds = self.features["change"].value_counts()
        return {str(kind): int(kinds[kind]) for kind in sorted(kinds.index)}


def difference(
    city: City, older: int, newer: int, *, layer: str | None = None
) -> list[LayerDifference]:
    """Return what differs between two releases.

    Parameters
    ----------
    city : City
        The city.
    older, newer : int
        Release numbers; 0 is the empty framework. ``older`` may be the later one: the difference
        is then the inverse.
    layer : str, optional
        Only this layer.

    Raises
    ------
    DeclarationError
        If there is no such release or layer.
    """
    for number in (older, newer):
        if number != 0:
            city.framework.release(number)
    contracts = city.framework.contracts()
    if layer is not None:
        contracts = {layer: city.framework.contract(layer)}
    found = [_layer_difference(city, one, older, newer) for one in contracts.values()]
    return [one for one in found if len(one.features)]


def _layer_difference(city: City, layer: Layer, older: int, newer: int) -> LayerDifference:
    low, high = sorted((older, newer))
    touched = city.framework.changed_uids(layer, low, high)
    uids = touched["uid"].tolist()
    before = city.framework.states_of(layer, uids, older)
    after = city.framework.states_of(layer, uids, newer)
    recorded = touched.set_index("uid")["change"]
    return LayerDifference(
        layer=layer,
        features=_classify(before, after, recorded, layer),
        before=before,
        after=after,
    )


def _classify(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, recorded: "pd.Series[str]", layer: Layer
) -> pd.DataFrame:
    old, new = before.set_index("uid"), after.set_index("uid")
    added = new.index.difference(old.index)
    removed = old.index.difference(new.index)
    common = old.index.intersection(new.index)
    differs = [
        bytes(a) != bytes(b)
        for a, b in zip(old.loc[common, "digest"], new.loc[common, "digest"], strict=True)
    ]
    changed = common[differs]
    kinds, flags = _kinds_of_changed(old.loc[changed], new.loc[changed], recorded, layer)
    frame = pd.DataFrame(
        {
            "uid": [*added, *removed, *changed],
            "change": [
                *[ChangeKind.NEW.value] * len(added),
                *[ChangeKind.REMOVED.value] * len(removed),
                *kinds,
            ],
            "has_new_attributes": [*[False] * (len(added) + len(removed)), *flags],
        }
    )
    return frame.sort_values("uid", ignore_index=True)


def _kinds_of_changed(
    old: gpd.GeoDataFrame, new: gpd.GeoDataFrame, recorded: "pd.Series[str]", layer: Layer
) -> tuple[list[str], list[bool]]:
    names = list(layer.attribute_names)
    same = (old[names] == new[names]) | (old[names].isna() & new[names].isna())
    has_new_attributes = (~same.fillna(value=False).all(axis=1)).tolist()
    if layer.geometry is GeometryType.NONE:
        return [ChangeKind.ATTRIBUTES.value] * len(old), has_new_attributes
    has_new_geometry = [
        a != b
        for a, b in zip(
            geometry_bytes(old.geometry.to_numpy(), layer),
            geometry_bytes(new.geometry.to_numpy(), layer),
            strict=True,
        )
    ]
    kinds = []
    for uid, moved in zip(old.index, has_new_geometry, strict=True):
        kind = recorded.get(uid)
        if not moved:
            kind = ChangeKind.ATTRIBUTES.value
        elif kind not in (ChangeKind.MOVED, ChangeKind.RESHAPED):
            kind = ChangeKind.RESHAPED.value
        kinds.append(str(kind))
    return kinds, has_new_attributes
