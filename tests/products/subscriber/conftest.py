"""A framework of a few features with its signed packages, and two databases to apply them to."""

import dataclasses
import datetime as dt
import shutil
import sqlite3
import uuid
from contextlib import closing

import geopandas as gpd
import pandas as pd
import psycopg
import pytest
from shapely.geometry import LineString, box

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.release import LayerVersion, Release, ReleaseKind
from cityframe.model.text import Title
from cityframe.products.package import (
    LayerContent,
    LayerDelta,
    build_change,
    build_full,
    chain_digest,
)
from cityframe.products.signature import PublicKey, SigningKey, TrustStore, public_path
from cityframe.products.subscriber import Answer
from cityframe.products.subscriber.geometry_blob import decode_blobs, register_functions

AT = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)


def _layer(name, geometry, attributes, **more):
    return Layer(
        name=name,
        title=Title(zh=f"图层{name}", en=name.title()),
        geometry=geometry,
        crs="EPSG:4547",
        precision_m=0.001,
        accuracy_m=0.25,
        key=(),
        attributes=tuple(
            Attribute(name=one, type=kind, title=Title(zh=f"属性{one}", en=one))
            for one, kind in attributes.items()
        ),
        **more,
    )


BUILDINGS = _layer(
    "buildings",
    GeometryType.POLYGON,
    {
        "name": AttributeType.STRING,
        "floors": AttributeType.INTEGER,
        "height_m": AttributeType.REAL,
        "is_listed": AttributeType.BOOLEAN,
        "built": AttributeType.DATE,
        "surveyed_at": AttributeType.DATETIME,
    },
)
PIPES = _layer(
    "pipes",
    GeometryType.LINESTRING,
    {"material": AttributeType.STRING},
    has_z=True,
    vertical_datum="EPSG:5737",
)
PERMITS = _layer("permits", GeometryType.NONE, {"holder": AttributeType.STRING})


def building(east=0.0, **more):
    x, y = 500_000 + east, 3_400_000
    return {
        "name": "教学楼",
        "floors": 6,
        "height_m": 21.5,
        "is_listed": False,
        "built": dt.date(1998, 7, 1),
        "surveyed_at": dt.datetime(2026, 9, 30, 10, 20, 30, 123_000, tzinfo=dt.UTC),
        "geometry": box(x, y, x + 10, y + 10),
        **more,
    }


def pipe(depth=2.0, **more):
    line = LineString([(500_000, 3_400_000, -depth), (500_050, 3_400_000, -depth)])
    return {"material": "PE", "geometry": line, **more}


class Framework:
    """Releases kept in memory, and their packages."""

    def __init__(self, folder, key, layers=(BUILDINGS, PIPES, PERMITS), kind="c"):
        self.folder, self.key, self.kind = folder, key, kind
        self.contracts = []
        self.states = []
        self.releases = []
        self.chains = []
        self._layers = {layer.name: layer for layer in layers}

    def commit(self, *layers, kept=None, **changes):
        """Release a new state: each layer's ``uid -> row``, None to remove.

        ``layers`` are new or wider contracts, ``kept`` digests of redacted rows (layer, uid).
        """
        self._layers = {**self._layers, **{layer.name: layer for layer in layers}}
        before = self.states[-1] if self.states else {}
        state = {name: dict(before.get(name, {})) for name in self._layers}
        for name, rows in changes.items():
            since = f"2026-10-{len(self.states) + 1:02d}"
            state[name] |= {uid: row and {"valid_from": since, **row} for uid, row in rows.items()}
            state[name] = {uid: row for uid, row in state[name].items() if row is not None}
        self.contracts.append(dict(self._layers))
        self.states.append(state)
        number = len(self.states)
        versions = tuple(self._version(name, number, kept or {}) for name in self._layers)
        chain = {
            "parent": self.releases[-1].digest if self.releases else "",
            "number": number,
            "framework": self.kind,
            "layers": [dataclasses.asdict(version) for version in versions],
        }
        self.chains.append(chain)
        release = Release(
            number=number,
            kind=ReleaseKind.CYCLE,
            created_at=f"2026-11-{number:02d}T08:00:00+00:00",
            cycle=f"quarterly-{number}",
            digest=chain_digest(chain),
            layers=versions,
            evidence={},
            parent=chain["parent"],
            valid_at=f"2026-11-{number:02d}T00:00:00+00:00",
        )
        self.releases.append(release)
        return release

    def frame(self, name, number, uids=None):
        layer = self.contracts[number - 1][name]
        rows = self.states[number - 1][name]
        uids = sorted(rows if uids is None else uids)
        columns = {
            "uid": pd.Series(uids, dtype="str"),
            "valid_from": pd.Series(
                pd.to_datetime([rows[uid]["valid_from"] for uid in uids], utc=True)
            ).astype("datetime64[us, UTC]"),
        }
        for one in layer.attributes:
            values = pd.Series([rows[uid].get(one.name) for uid in uids], dtype="object")
            kind = COLUMN_TYPES[one.type]
            if kind == "datetime64[us, UTC]":
                values = pd.to_datetime(values, utc=True)
            columns[one.name] = values.astype(kind)
        shapes = [rows[uid].get("geometry") for uid in uids]
        return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=layer.crs))

    def full(self, number, **options):
        """Build a full package; each call gives a copy of its own."""
        return self._copy(f"full-{number}", options, self._build_full, number)

    def change(self, number, **options):
        """Build a change package; each call gives a copy of its own."""
        return self._copy(f"change-{number}", options, self._build_change, number)

    def _copy(self, name, options, build, number):
        built = self.folder / (f"{name}-{uuid.uuid4().hex}" if options else name)
        if not built.exists():
            build(built, number, **options)
        return shutil.copytree(built, self.folder / f"{name}-{uuid.uuid4().hex}")

    def _build_full(self, path, number, **options):
        contents = [
            LayerContent(layer, [self._with_digests(name, number, options.get("kept"))])
            for name, layer in self.contracts[number - 1].items()
        ]
        options.pop("kept", None)
        build_full(path, self.releases[number - 1], contents, **self._head(number, options))

    def _build_change(self, path, number, **options):
        kept, withheld = options.pop("kept", None), options.pop("withheld", {})
        deltas = [self._delta(name, number, kept, withheld) for name in self.contracts[number - 1]]
        release, parent = self.releases[number - 1], self.releases[number - 2]
        build_change(path, release, parent, deltas, **self._head(number, options))

    def _head(self, number, options):
        title = Title(zh="示范市空间框架", en="Framework of Demo City")
        head = {"title": title, "quality": {"report": "r"}, "key": self.key}
        head["formats"] = ["geoparquet"]
        return {"chain": self.chains[number - 1], **head, **options}

    def _with_digests(self, name, number, kept, uids=None):
        frame = self.frame(name, number, uids)
        digests = row_digests(frame, self.contracts[number - 1][name])
        for place, uid in enumerate(frame["uid"]):
            digests[place] = (kept or {}).get((name, uid), digests[place])
        return frame.assign(digest=digests)

    def _delta(self, name, number, kept, withheld):
        before, after = self._around(name, number)
        kinds = self._kinds(name, number)
        layer, former = self.contracts[number - 1][name], self.contracts[number - 2].get(name)
        if former is None:
            removed = self.frame(name, number, []).assign(change=pd.Series(dtype="str"))
        else:
            removed = self._with_digests(name, number - 1, kept, kinds.keys() & before.keys())
            removed["change"] = removed["uid"].map(kinds).astype("str")
            removed["withheld"] = [withheld.get((name, uid), "") for uid in removed["uid"]]
        added = self._with_digests(name, number, kept, kinds.keys() & after.keys())
        return LayerDelta(layer, removed, added, former if former != layer else None)

    def _around(self, name, number):
        before = self.states[number - 2].get(name, {}) if number > 1 else {}
        return before, self.states[number - 1][name]

    def _kinds(self, name, number):
        before, after = self._around(name, number)
        kinds = {}
        for uid in sorted(before.keys() | after.keys()):
            if uid not in before:
                kinds[uid] = "new"
            elif uid not in after:
                kinds[uid] = "removed"
            elif before[uid] is not after[uid]:
                same = before[uid].get("geometry") == after[uid].get("geometry")
                kinds[uid] = "attributes" if same else "reshaped"
        return kinds

    def _version(self, name, number, kept):
        digests = self._with_digests(name, number, kept)["digest"]
        kinds = pd.Series(self._kinds(name, number), dtype="str").value_counts()
        return LayerVersion(
            layer=name,
            count=len(digests),
            digest=layer_digest(layer_sum(digests), len(digests)),
            changes={str(kind): int(count) for kind, count in sorted(kinds.items())},
        )


class Database:
    """A subscriber's database as its owner sees it."""

    def __init__(self, url, connect, schema):
        self.url, self._connect, self._schema = url, connect, schema

    @property
    def is_postgis(self):
        return bool(self._schema)

    def run(self, statement, *parameters):
        """Run a statement; ``%s`` for parameters, ``{}`` before the name of a table."""
        text = statement.format(f"{self._schema}." if self._schema else "")
        with closing(self._connect()) as connection:
            marked = text if self._schema else text.replace("%s", "?")
            cursor = connection.execute(marked, parameters)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
        return [tuple(row) for row in rows]

    def dump(self, *tables):
        """Return all rows of tables, sorted; geometry without a GeoPackage's header."""
        found = {table: self.run(f"SELECT * FROM {{}}{table}") for table in tables}
        return {table: sorted(map(_bare, rows), key=repr) for table, rows in found.items()}


def _bare(row):
    return tuple(decode_blobs([one])[0] if isinstance(one, bytes) else one for one in row)


def _geopackage(path):
    connection = sqlite3.connect(path)
    # the owner's own program has the functions of a spatial index, too
    register_functions(connection)
    return connection


@pytest.fixture
def geopackage(tmp_path):
    path = tmp_path / "own.gpkg"
    return Database(str(path), lambda: _geopackage(path), "")


@pytest.fixture
def postgis(postgis_url):
    schema = f"own_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgis_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return Database(f"{postgis_url}?schema={schema}", lambda: psycopg.connect(postgis_url), schema)


@pytest.fixture(params=["geopackage", "postgis"])
def database(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def make_key(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")

    def make(name, **options):
        path = folder / f"{name}-{uuid.uuid4().hex}.pem"
        SigningKey.create(path, name=name, at=AT, **options)
        return SigningKey.read(path), PublicKey.read(public_path(path))

    return make


@pytest.fixture(scope="session")
def publisher(make_key):
    return make_key("publisher")


@pytest.fixture(scope="session")
def trust(publisher):
    return TrustStore().trust(publisher[1], at=AT)


@pytest.fixture(scope="session")
def own_key(make_key):
    return make_key("subscriber")


@pytest.fixture
def answer(own_key, tmp_path):
    """Return an answer in a file of its own each time, by the subscriber's one key."""
    key, _public = own_key

    def make(name="receipt.json"):
        return Answer(subscriber="Water works", key=key, path=tmp_path / name)

    return make


@pytest.fixture(scope="session")
def framework(tmp_path_factory, publisher):
    """Four releases: rows of all kinds of change, in layers with and without geometry."""
    city = Framework(tmp_path_factory.mktemp("framework"), publisher[0])
    city.commit(
        buildings={f"b{n}": building(20 * n, floors=n) for n in range(1, 8)},
        pipes={"p1": pipe(), "p2": pipe(3.5, material=None)},
        permits={"m1": {"holder": "李"}},
    )
    city.commit(
        buildings={
            "b1": building(21, floors=1),
            "b2": building(40, floors=None, name="新楼", surveyed_at=None),
            "b3": None,
            "b9": building(300, name=None, built=None),
        },
        pipes={"p1": pipe(2.25)},
        permits={"m1": {"holder": "王"}, "m2": {"holder": None}},
    )
    city.commit(
        buildings={"b3": building(60), "b9": building(301, floors=9), "b4": None},
        permits={"m2": None},
    )
    city.commit(permits={"m5": {"holder": "赵"}})
    return city


@pytest.fixture
def make_framework(tmp_path, publisher):
    def make(kind, *layers):
        folder = tmp_path / kind
        folder.mkdir()
        return Framework(folder, publisher[0], layers or (BUILDINGS,), kind)

    return make


@pytest.fixture
def at():
    return AT


@pytest.fixture
def rows():
    """The makers of rows and the contracts, for tests that commit releases of their own."""

    class Rows:
        building = staticmethod(building)
        pipe = staticmethod(pipe)
        buildings = BUILDINGS
        permits = PERMITS

        @staticmethod
        def wider(layer, **attributes):
            more = tuple(
                Attribute(name=name, type=kind, title=Title(zh=name, en=name))
                for name, kind in attributes.items()
            )
            return dataclasses.replace(layer, attributes=(*layer.attributes, *more))

    return Rows
