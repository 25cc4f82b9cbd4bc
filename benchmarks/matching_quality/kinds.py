"""Kinds of change in a generated city, against its truth, with noise on every vertex.

Both deliveries are surveys: each vertex of each gets an error of the layer's declared mean error.
With keys the kinds are at stake, without keys the matches too: a kind is right only on the right
feature. Exchanging the deliveries makes merges of the splits. What the truth calls a defect is left
out: rules are to find those. Nothing was tuned here.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.config.workspace import Workspace, read_workspace
from cityframe.conform import conform
from cityframe.connectors import read_tables
from cityframe.core.frames import empty_frame, with_column_types
from cityframe.demo.city import generate_city
from cityframe.demo.layers import KEYS
from cityframe.model.change import ChangeKind
from cityframe.model.delivery import Delivery, DeliveryKind
from cityframe.model.layer import Layer
from cityframe.model.lineage import LineageKind
from cityframe.reconcile import FrameLayer, Reconciled, Setting, reconcile
from matching_quality.figures import Figure

SECTION = "kinds"
BUILDINGS = 30_000
LAYERS = ("buildings", "parcels", "roads")
TARGETS = {
    "unchanged": 0.995, "reshaped": 0.90, "moved": 0.95, "new": 0.99, "removed": 0.99,
    "split": 0.99, "merged": 0.99,
}  # fmt: skip
_SOURCE = "survey_base"
_UNCHANGED = "unchanged"
_OPPOSITE = {"new": "removed", "removed": "new", "split": "merged", "merged": "split"}


def report() -> list[Figure]:
    """Return F1 by kind over all layers, with keys and without."""
    workspace = read_workspace(Path(__file__).parents[2])
    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder) / "city"
        generate_city(city, buildings=BUILDINGS, deliveries=2, seed=7, progress=lambda _: None)
        cases = [_Case.read(workspace, city, name) for name in LAYERS]
    figures = []
    for what, is_keyed in (("with keys", True), ("keys withheld", False)):
        told = [one for case in cases for one in case.told(is_keyed=is_keyed)]
        for kind in ("unchanged", "attributes", "moved", "reshaped", "new", "removed", "split",
                     "merged"):  # fmt: skip
            true = {one for truth, _ in told for one in truth if one[-1] == kind}
            said = {one for _, answer in told for one in answer if one[-1] == kind}
            f1 = 2 * len(true & said) / max(len(true) + len(said), 1)
            figures.append(
                Figure(SECTION, f"{what}, {kind}: F1", f1, len(true), at_least=TARGETS.get(kind))
            )
    return figures


Told = set[tuple[str, ...]]
"""Layer, direction, feature or group, kind."""


@dataclass(frozen=True)
class _Case:
    """One layer before and after, under their keys, with the true kinds."""

    workspace: Workspace
    layer: Layer
    sides: tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]
    truth: pd.DataFrame

    @classmethod
    def read(cls, workspace: Workspace, city: Path, name: str) -> "_Case":
        layer = workspace.layer(name)
        random = np.random.default_rng(11)
        sides = [
            _noisy(_conformed(workspace, city / f"delivery_{number}", layer), layer, random)
            for number in (1, 2)
        ]
        lines = (city / "delivery_2" / "truth.jsonl").read_text(encoding="utf-8").splitlines()
        truth = pd.DataFrame([json.loads(line) for line in lines])
        of_layer = truth[truth["layer"] == name]
        spoilt = set(of_layer["keys"].dropna().explode())
        sound = [side[~side[KEYS[name]].isin(spoilt)].reset_index(drop=True) for side in sides]
        is_change = of_layer["change"].notna() & ~of_layer["key"].isin(spoilt)
        return cls(workspace, layer, (sound[0], sound[1]), of_layer[is_change])

    def told(self, *, is_keyed: bool) -> Iterator[tuple[Told, Told]]:
        """Yield the true and the found kinds, forth and back."""
        for direction in ("forth", "back"):
            before, after = self.sides if direction == "forth" else self.sides[::-1]
            outcome = self._reconciled(before, after, is_keyed=is_keyed)
            yield (
                _tagged(self._true(before, after, direction), self.layer, direction),
                _tagged(self._found(outcome, before, after), self.layer, direction),
            )

    def _reconciled(
        self, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, *, is_keyed: bool
    ) -> Reconciled:
        layer, key = self.layer, KEYS[self.layer.name]
        source = self.workspace.source(_SOURCE)
        feed = next(one for one in source.feeds if one.layer == layer.name)
        if not is_keyed:
            kept = tuple(one for one in layer.attributes if one.name != key)
            layer = replace(layer, key=(), attributes=kept)
        # what another source brings to the layer is null on both sides
        others = [one for one in layer.attribute_names if one not in before.columns]
        rows = before.assign(uid=before[key], **dict.fromkeys(others))
        incoming = after.drop(columns=[] if is_keyed else [key]).assign(
            record=pd.Series(range(len(after)), dtype="Int64"), source_key=after[key],
            operation="upsert", valid_from=pd.NaT,
        )  # fmt: skip
        guards = feed.guards.model_copy(update={"removed_share": 1, "removed_cell_share": 1})
        setting = Setting(
            layer=layer,
            feed=feed.model_copy(update={"guards": guards}),
            delivery=Delivery(f"{_SOURCE}.1", _SOURCE, "", "2024-02-29T00:00:00Z", "", (), ""),
            delivery_kind=DeliveryKind.FULL,
            accuracy_m=source.accuracy_of(feed),
            rules=self.workspace.reconciling[layer.name],
        )
        current = FrameLayer(layer, with_column_types(rows, layer))
        return reconcile(current, with_column_types(incoming, layer), setting)

    def _true(self, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, direction: str) -> Told:
        key = KEYS[self.layer.name]
        told = self.truth.set_index("key")
        there = set(before[key]) & set(after[key])
        kinds: dict[str, str] = dict.fromkeys(there, _UNCHANGED)
        for name, kind, attributes in zip(
            told.index, told["change"], told["attributes"], strict=True
        ):
            # what only another source says of the layer is not to be found here
            is_here = kind != ChangeKind.ATTRIBUTES.value or set(attributes) & set(before.columns)
            if name in there and is_here:
                kinds[str(name)] = str(kind)
        true: Told = set(kinds.items())
        parts = told[told["note"] == "split"]
        is_back = direction == "back"
        for name in (set(before[key]) | set(after[key])) - there - set(parts.index):
            true.add((name, "new" if name in set(after[key]) else "removed"))
        parents = parts[parts["change"] == ChangeKind.REMOVED.value].index
        for parent in parents:
            children = [one for one in parts.index if one != parent and one[:-5] == parent[:-5]]
            whole = before if not is_back else after
            shape = whole.loc[whole[key] == parent].geometry.iloc[0]
            others = after if not is_back else before
            near = others[others[key].isin(children)]
            own = near[near.representative_point().within(shape.buffer(0.5))][key]
            true.add((_group([parent], own), "merged" if is_back else "split"))
        return true

    def _found(
        self, outcome: Reconciled, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame
    ) -> Told:
        key = KEYS[self.layer.name]
        fates, found = outcome.fates, set()
        name_of = after[key].to_numpy()
        said = pd.Series(name_of[fates["record"].astype(int)], index=fates.index)
        kind = fates["reason"].replace({"equal": _UNCHANGED, "within tolerance": _UNCHANGED})
        is_of = fates["uid"].isin(before[key])
        # on another feature a kind is wrong: then the pair stands in the name
        label = said.where(~is_of | (fates["uid"] == said), fates["uid"] + ">" + said)
        is_plain = ~kind.isin([one.value for one in LineageKind])
        found |= set(zip(label[is_plain], kind[is_plain], strict=True))
        gone = outcome.changes[outcome.changes["basis"] == "absent"]
        found |= {(uid, "removed") for uid in gone["uid"]}
        child_name = dict(zip(fates["uid"], said, strict=True))
        lineage = outcome.lineage.assign(child=outcome.lineage["child"].map(child_name))
        for event, side in ((LineageKind.SPLIT, "parent"), (LineageKind.MERGED, "child")):
            other = "child" if side == "parent" else "parent"
            for one, part in lineage[lineage["event"] == event.value].groupby(side):
                found.add((_group([str(one)], part[other]), event.value))
        return found


def _group(one: list[str], others: "pd.Series[str]") -> str:
    return "|".join([*one, *sorted(others)])


def _tagged(told: Told, layer: Layer, direction: str) -> Told:
    return {(layer.name, direction, *one) for one in told}


def _conformed(workspace: Workspace, folder: Path, layer: Layer) -> gpd.GeoDataFrame:
    """Return what a delivery says of a layer; what the intake returns stays out on both sides."""
    source = workspace.source(_SOURCE)
    feed = next(one for one in source.feeds if one.layer == layer.name)
    delivery = Delivery("s.1", "s", "", "2024-01-31T00:00:00Z", "", (), "")
    conformed = conform(
        read_tables(folder, source, feed),
        source=source,
        feed=feed,
        layer=layer,
        delivery=delivery,
        framework_layer=lambda name: empty_frame(workspace.layer(name), ["uid"]),
    )
    frame = conformed.frame
    names = [name for name in layer.attribute_names if name in frame.columns]
    whole = frame[[*names, "geometry"]].reset_index(drop=True)
    return whole[whole.geometry.notna()].reset_index(drop=True)


def _noisy(frame: gpd.GeoDataFrame, layer: Layer, random: np.random.Generator) -> gpd.GeoDataFrame:
    """Return the frame with an error on each vertex, the same on vertices at one place."""
    geometry = frame.geometry.to_numpy()
    xy = shapely.get_coordinates(geometry)
    _, place = np.unique(np.round(xy, 3), axis=0, return_inverse=True)
    error = random.normal(0, layer.accuracy_m / np.sqrt(2), (place.max() + 1, 2))
    has_z = bool(shapely.has_z(geometry).any())
    moved = shapely.get_coordinates(geometry, include_z=has_z)
    moved[:, :2] += error[place]
    return frame.set_geometry(
        gpd.GeoSeries(shapely.set_coordinates(geometry.copy(), moved), crs=frame.crs)
    )
