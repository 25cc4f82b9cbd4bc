import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import LineString, box

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.release import LayerVersion, Release, ReleaseKind
from cityframe.model.text import Title
from cityframe.products.package import (
    LayerContent,
    LayerDelta,
    build_change,
    build_full,
    chain_digest,
    read_changes,
    read_manifest,
)
from cityframe.products.package.change_file import write_changes

TITLE = Title(zh="示范市空间框架", en="Framework of Demo City")
PROVENANCE = {"delivery": "str", "record": "Int64", "basis": "str"}
QUALITY = {"report": "2026-Q4", "rule_set_digest": "ab" * 32, "decisions": [], "waivers": []}
HEAD = {"title": TITLE, "quality": QUALITY}


def _attribute(name, kind):
    return Attribute(name=name, type=kind, title=Title(zh=f"属性{name}", en=name))


def _layer(name, zh, geometry, attributes, **more):
    return Layer(
        name=name,
        title=Title(zh=zh, en=name.title()),
        geometry=geometry,
        crs="EPSG:4547",
        precision_m=0.001,
        accuracy_m=0.25,
        key=(),
        attributes=tuple(_attribute(one, kind) for one, kind in attributes.items()),
        **more,
    )


LAYERS = (
    _layer(
        "buildings",
        "建筑物",
        GeometryType.POLYGON,
        {
            "name": AttributeType.STRING,
            "floors": AttributeType.INTEGER,
            "height_m": AttributeType.REAL,
            "is_listed": AttributeType.BOOLEAN,
            "built": AttributeType.DATE,
            "surveyed_at": AttributeType.DATETIME,
        },
    ),
    _layer(
        "pipes",
        "地下管线",
        GeometryType.LINESTRING,
        {"material": AttributeType.STRING},
        has_z=True,
        vertical_datum="EPSG:5737",
    ),
    _layer("permits", "许可", GeometryType.NONE, {"holder": AttributeType.STRING}),
)


class Town:
    """The releases of a small town, kept in memory: what a store would give to the builders."""

    def __init__(self, layers=LAYERS):
        self.layers = {layer.name: layer for layer in layers}
        self.releases = []
        self.chains = []
        self._states = []
        self._contracts = []

    def commit(self, **changes):
        """Release a new state: each layer's ``uid -> row``, None to remove."""
        before = self._states[-1] if self._states else {}
        state = {name: dict(before.get(name, {})) for name in self.layers}
        for name, rows in changes.items():
            for uid, row in rows.items():
                if row is None:
                    del state[name][uid]
                else:
                    state[name][uid] = row
        self._contracts.append(dict(self.layers))
        self._states.append(state)
        number = len(self._states)
        versions = tuple(self._version(name, number) for name in self.layers)
        chain = {
            "parent": self.releases[-1].digest if self.releases else "",
            "number": number,
            "layers": [dataclasses.asdict(version) for version in versions],
            "evidence": {"说明": "首期"},
        }
        self.chains.append(chain)
        release = Release(
            number=number,
            kind=ReleaseKind.CYCLE,
            created_at=f"2026-11-{number:02d}T08:00:00+00:00",
            cycle=f"quarterly-{number}",
            digest=chain_digest(chain),
            parent=chain["parent"],
            valid_at=f"2026-11-{number:02d}T00:00:00+00:00",
            layers=versions,
            evidence={},
        )
        self.releases.append(release)
        return release

    def frame(self, layer, rows):
        """Return rows ``uid -> row`` as a layer frame with uid and valid_from, sorted by uid."""
        ordered = dict(sorted(rows.items()))
        columns = {
            "uid": pd.Series(list(ordered), dtype="str"),
            "valid_from": pd.to_datetime(
                pd.Series([row["valid_from"] for row in ordered.values()], dtype="str"),
                format="ISO8601",
                utc=True,
            ).astype("datetime64[us, UTC]"),
        }
        for name, kind in PROVENANCE.items():
            values = [row.get(name) for row in ordered.values()]
            columns[name] = pd.Series(values, dtype=kind)
        for attribute in layer.attributes:
            kind = COLUMN_TYPES[attribute.type]
            values = pd.Series(
                [row.get(attribute.name) for row in ordered.values()], dtype="object"
            )
            if kind == "datetime64[us, UTC]":
                columns[attribute.name] = pd.to_datetime(values, utc=True).astype(kind)
            else:
                columns[attribute.name] = values.astype(kind)
        geometry = gpd.GeoSeries([row["geometry"] for row in ordered.values()], crs=layer.crs)
        return gpd.GeoDataFrame(columns, geometry=geometry)

    def content(self, name, number):
        return self.frame(self._contracts[number - 1][name], self._states[number - 1][name])

    def contents(self, number, batch_rows=5):
        """Return the layers of a release for `build_full`, in batches with row digests."""

        def batches(name):
            frame = self.content(name, number)
            frame["digest"] = row_digests(frame, layers[name])
            return [frame[at : at + batch_rows] for at in range(0, len(frame), batch_rows)]

        layers = self._contracts[number - 1]
        return [LayerContent(layer, batches(name)) for name, layer in layers.items()]

    def deltas(self, number):
        """Return what leads from the release before to this one for `build_change`."""
        return [self._delta(layer, number) for layer in self._contracts[number - 1].values()]

    def _delta(self, layer, number):
        kinds = self._kinds(layer.name, number)
        before, after = self._around(layer.name, number)
        former = self._contracts[number - 2].get(layer.name, layer)
        removed = self.frame(former, {uid: before[uid] for uid in kinds if uid in before})
        removed["change"] = removed["uid"].map(kinds).astype("str")
        added = self.frame(layer, {uid: after[uid] for uid in kinds if uid in after})
        removed["ended_by"] = "survey-end"
        return LayerDelta(layer, removed, added, former)

    def _around(self, name, number):
        before = self._states[number - 2].get(name, {}) if number > 1 else {}
        return before, self._states[number - 1][name]

    def _kinds(self, name, number):
        before, after = self._around(name, number)
        kinds = {}
        for uid in sorted(before.keys() | after.keys()):
            if uid not in before:
                kinds[uid] = ChangeKind.NEW.value
            elif uid not in after:
                kinds[uid] = ChangeKind.REMOVED.value
            elif before[uid] != after[uid]:
                moved = before[uid]["geometry"] != after[uid]["geometry"]
                kinds[uid] = (ChangeKind.RESHAPED if moved else ChangeKind.ATTRIBUTES).value
        return kinds

    def _version(self, name, number):
        frame = self.content(name, number)
        digests = row_digests(frame, self._contracts[number - 1][name])
        kinds = pd.Series(self._kinds(name, number), dtype="str").value_counts()
        return LayerVersion(
            layer=name,
            count=len(frame),
            digest=layer_digest(layer_sum(digests), len(frame)),
            changes={str(kind): int(count) for kind, count in sorted(kinds.items())},
        )

    def build_full(self, folder, number, batch_rows=5, **options):
        options = {"chain": self.chains[number - 1], **HEAD, **options}
        contents = self.contents(number, batch_rows)
        return build_full(folder, self.releases[number - 1], contents, **options)

    def build_change(self, folder, number, **options):
        release, parent = self.releases[number - 1], self.releases[number - 2]
        options = {"chain": self.chains[number - 1], **HEAD, **options}
        return build_change(folder, release, parent, self.deltas(number), **options)


def building(east=0.0, north=0.0, size=10.0, **more):
    row = {
        "valid_from": "2026-10-01T00:00:00Z",
        "delivery": "survey-2026",
        "record": int(east),
        "basis": "rule 3",
        "name": "教学楼",
        "floors": 6,
        "height_m": 21.5,
        "is_listed": False,
        "built": pd.Timestamp("1998-07-01"),
        "surveyed_at": pd.Timestamp("2026-09-30T10:20:30.123Z"),
    }
    x, y = 500_000 + east, 3_400_000 + north
    return {**row, "geometry": box(x, y, x + size, y + size), **more}


def pipe(east=0.0, depth=1.5, **more):
    x, y = 500_000 + east, 3_400_000
    line = LineString([(x, y, -depth), (x + 5, y + 5, -depth - 0.1)])
    return {
        "valid_from": "2026-10-01T00:00:00Z",
        "material": "PE",
        "geometry": line,
        **more,
    }


def permit(holder, **more):
    return {"valid_from": "2026-10-01T00:00:00Z", "holder": holder, "geometry": None, **more}


def two_releases():
    """Two releases of three layers: a new, a removed, a moved, a renamed feature; null values."""
    town = Town()
    nothing = dict.fromkeys(("name", "floors", "height_m", "is_listed", "built", "surveyed_at"))
    town.commit(
        buildings={
            **{f"b{place:02d}": building(east=20.0 * place) for place in range(12)},
            "b50": building(east=500, **nothing),
            "b51": building(east=520, geometry=None),
        },
        pipes={"p1": pipe(), "p2": pipe(east=30)},
        permits={"d1": permit("张三"), "d2": permit(None)},
    )
    town.commit(
        buildings={
            "b00": None,
            "b01": building(east=20.0, size=12.0),
            "b02": building(east=40.0, name="图书馆", valid_from="2026-10-20T12:00:00Z"),
            "b49": building(east=480),
            "b99": building(east=900),
        },
        permits={"d1": None},
    )
    return town


@pytest.fixture
def town():
    return two_releases()


@pytest.fixture
def new_town():
    return Town


@pytest.fixture
def make_building():
    return building


@pytest.fixture
def make_pipe():
    return pipe


@pytest.fixture
def make_permit():
    return permit


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    town = two_releases()
    town.build_full(folder / "full1", 1)
    town.build_full(folder / "full2", 2)
    town.build_change(folder / "change2", 2)
    return folder


@pytest.fixture
def folders(packages, tmp_path):
    """Packages of the town, free to tamper with: ``full1``, ``full2``, ``change2``."""
    return shutil.copytree(packages, tmp_path / "packages")


@pytest.fixture
def same_bytes():
    """Whether two folders hold the same files with the same bytes."""

    def compare(left: Path, right: Path):
        names = sorted(path.name for path in left.iterdir())
        assert names == sorted(path.name for path in right.iterdir())
        return [name for name in names if (left / name).read_bytes() != (right / name).read_bytes()]

    return compare


@pytest.fixture
def reseal():
    """Make the manifest of a tampered package agree with its files again, as a forger would."""

    def write(folder, edit=lambda data: None):
        path = folder / "manifest.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        edit(data)
        seal = data["release"]["seal"]
        if seal is not None:
            states = {layer["contract"]["name"]: layer["after"] for layer in data["layers"]}
            for layer in seal["layers"]:
                layer.update(states.get(layer["layer"], {}))
            data["release"]["digest"] = chain_digest(seal)
        for file in data["files"]:
            if (folder / file["path"]).exists():
                content = (folder / file["path"]).read_bytes()
                file["size"] = len(content)
                file["sha256"] = hashlib.sha256(content).hexdigest()
        data["digest"] = ""
        text = json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        data["digest"] = hashlib.sha256(text.encode()).hexdigest()
        text = json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def forge_changes(reseal):
    """Rewrite a layer's changes and make the manifest agree with them, as a forger would."""

    def write(folder, layer, edit, edit_manifest=lambda data: None):
        manifest = read_manifest(folder)
        changes = edit(read_changes(folder, manifest, layer))
        write_changes(
            folder / f"{layer}.changes.parquet", changes, manifest.layer(layer).wide_contract
        )
        kinds = pd.Series(changes["change"].to_pylist(), dtype="str").value_counts()
        kinds = kinds[kinds.index.isin([kind.value for kind in ChangeKind])]

        def agree(data):
            for one in data["layers"]:
                if one["contract"]["name"] == layer:
                    one["rows"] = len(changes)
                    one["changes"] = {kind: int(kinds[kind]) for kind in sorted(kinds.index)}
                    gained = kinds.get("new", 0) - kinds.get("removed", 0)
                    one["after"]["count"] = int(one["before"]["count"] + gained)
            edit_manifest(data)

        reseal(folder, agree)

    return write
