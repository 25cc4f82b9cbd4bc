"""The Dutch building register, replayed: what was known when, and of when, as the register says.

A building (pand) has versions (voorkomens), numbered from 1. The extract gives each version a
valid time in whole days (beginGeldigheid, eindGeldigheid) and registration times in milliseconds
(tijdstipRegistratie, eindRegistratie). Taken here, and checked by the first tests:

- A version is known from its tijdstipRegistratie on, then without an end. At its eindRegistratie
  its end becomes known too: the very moment at which the next version was registered, and
  eindGeldigheid is the day on which the next one begins. It stays known for its own period.
- tijdstipInactief and tijdstipNietBAG, by which a version would be withdrawn, do not occur here.
- Times have no zone. Days are taken as midnight UTC and moments as UTC, on both sides alike.
- A version with a final state (demolished, not built, entered by mistake) says that the building
  is not there; the framework gets it as a removal.

Nothing here is finer than a day on the valid axis; of the registration axis the framework keeps
the order only, as releases.
"""

import datetime as dt
import os
import random
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.digest import layer_digest, layer_sum, row_digests
from cityframe.core.frames import with_column_types
from cityframe.model.change import ChangeKind
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.release import ReleaseKind
from cityframe.model.text import Title
from cityframe.store.candidate import write_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import Framework, open_framework

DATA = Path(os.environ.get("CITYFRAME_DATA", Path(__file__).parents[3] / "shared" / "data"))
ARCHIVE = DATA / "epochs" / "otterlo_doesburg_nl" / "0221PND15092020.zip"
FINAL_STATES = {"Pand gesloopt", "Niet gerealiseerd pand", "Pand ten onrechte opgevoerd"}
RELEASES = 72
PAIRS = 500
pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"no real data at {ARCHIVE}")


def attribute(name: str, kind: AttributeType) -> Attribute:
    return Attribute(name=name, type=kind, title=Title(zh=name, en=name))


PAND = Layer(
    name="pand",
    title=Title(zh="建筑物", en="Buildings"),
    geometry=GeometryType.POLYGON,
    crs="EPSG:28992",
    precision_m=0.001,
    accuracy_m=0.2,
    key=("number",),
    attributes=(
        attribute("number", AttributeType.STRING),
        attribute("version", AttributeType.INTEGER),
        attribute("state", AttributeType.STRING),
        attribute("built", AttributeType.INTEGER),
        attribute("document", AttributeType.STRING),
    ),
)


@dataclass(frozen=True)
class Version:
    """One version of a building; moments as the register writes them, which sort as text."""

    number: str
    version: int
    begins: str
    ends: str | None
    registered: str
    superseded: str | None
    state: str
    built: int
    document: str
    wkb: bytes

    @property
    def is_there(self) -> bool:
        return self.state not in FINAL_STATES


@pytest.fixture(scope="module")
def versions() -> list[Version]:
    """All versions, in the order of registration."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        found = [
            one
            for name in sorted(archive.namelist())
            for one in versions_in(archive.open(name))  # type: ignore[arg-type]
        ]
    return sorted(found, key=lambda one: (one.registered, one.number, one.version))


def versions_in(file: Path) -> Iterator[Version]:
    for _, element in ElementTree.iterparse(file):
        if element.tag.rpartition("}")[2] == "Pand":
            yield version_of(element)
            element.clear()


def version_of(pand: ElementTree.Element) -> Version:
    rings = []
    texts: dict[str, str] = {}
    for element in pand.iter():
        name = element.tag.rpartition("}")[2]
        if name == "posList":
            # the height is 0.0 throughout
            ordinates = np.array((element.text or "").split(), dtype=float).reshape(-1, 3)
            assert not ordinates[:, 2].any()
            rings.append(ordinates[:, :2])
        else:
            texts[name] = element.text or ""
    assert not {"tijdstipInactief", "tijdstipNietBAG", "tijdstipInactiefLV"} & set(texts)
    polygon = shapely.Polygon(rings[0], rings[1:])
    return Version(
        number=texts["identificatie"],
        version=int(texts["voorkomenidentificatie"]),
        begins=texts["beginGeldigheid"],
        ends=texts.get("eindGeldigheid"),
        registered=texts["tijdstipRegistratie"],
        superseded=texts.get("eindRegistratie"),
        state=texts["status"],
        built=int(texts["oorspronkelijkBouwjaar"]),
        document=texts["documentnummer"],
        wkb=shapely.to_wkb(polygon),
    )


def said(versions: list[Version], known: str, day: str) -> set[tuple[str, int]]:
    """What the register, as of a moment, said of a day: building and version."""
    return {
        (one.number, one.version)
        for one in versions
        if one.registered <= known
        and one.begins <= day
        and (one.superseded is None or one.superseded > known or day < str(one.ends))
        and one.is_there
    }


@dataclass(frozen=True)
class Replay:
    """The register in a framework: the last moment of registration in each release."""

    framework: Framework
    moments: list[str]


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def replay(
    request: pytest.FixtureRequest,
    versions: list[Version],
    tmp_path_factory: pytest.TempPathFactory,
) -> Replay:
    """Load the register as deliveries in the order of registration."""
    folder = tmp_path_factory.mktemp("register")
    url = None
    if request.param == "postgis":
        url = f"{request.getfixturevalue('postgis_url')}?schema=s{uuid.uuid4().hex}"
    framework = open_framework(folder / "store", url)
    layers, moments = {PAND.name: PAND}, []
    for number, batch in enumerate(batches(versions), 1):
        moment = dt.datetime.fromisoformat(batch[-1].registered).replace(tzinfo=dt.UTC)
        candidate = write_candidate(
            folder / f"c{number}", framework, {PAND.name: changes_of(batch, number)}, layers,
            valid_at=moment,
        )  # fmt: skip
        commit(
            framework, candidate, layers, kind=ReleaseKind.CYCLE, cycle=f"{number}",
            evidence={}, at=moment,
        )  # fmt: skip
        moments.append(batch[-1].registered)
    return Replay(framework, moments)


def batches(versions: list[Version]) -> Iterator[list[Version]]:
    """Yield versions by release; those registered at one moment stay together."""
    size = len(versions) / RELEASES
    batch: list[Version] = []
    for _, group in groupby(versions, key=lambda one: one.registered):
        batch += group
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def changes_of(batch: list[Version], number: int) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(
        {
            "uid": [one.number for one in batch],
            "change": [
                (ChangeKind.RESHAPED if one.version > 1 else ChangeKind.NEW).value
                if one.is_there
                else ChangeKind.REMOVED.value
                for one in batch
            ],
            "has_new_attributes": True,
            "delivery": f"register.{number}",
            "record": range(len(batch)),
            "basis": "key",
            "valid_from": pd.to_datetime([one.begins for one in batch], utc=True),
            "valid_to": pd.to_datetime([None] * len(batch), utc=True),
            "number": [one.number for one in batch],
            "version": [one.version for one in batch],
            "state": [one.state for one in batch],
            "built": [one.built for one in batch],
            "document": [one.document for one in batch],
        },
        geometry=gpd.GeoSeries.from_wkb([one.wkb for one in batch]),
        crs=PAND.crs,
    )
    return with_column_types(frame, PAND)


def test_the_register_is_as_its_times_are_taken_here(versions: list[Version]) -> None:
    of_building: dict[str, list[Version]] = {}
    for one in sorted(versions, key=lambda one: (one.number, one.version)):
        of_building.setdefault(one.number, []).append(one)
    assert (len(versions), len(of_building)) == (13098, 7797)
    for building in of_building.values():
        assert [one.version for one in building] == list(range(1, len(building) + 1))
        for one, following in pairwise(building):
            assert (one.ends, one.superseded) == (following.begins, following.registered)
            assert one.registered < following.registered
        assert (building[-1].ends, building[-1].superseded) == (None, None)
    assert all(len(day) == 10 for one in versions for day in (one.begins, one.ends) if day)


def test_quirks_of_the_register_are_those_counted(versions: list[Version]) -> None:
    superseded = [one for one in versions if one.ends is not None]
    moments = {one.registered for one in versions}
    backdated = [one for one in versions if one.begins < one.registered[:10]]
    assert {
        "over on the day they began": sum(one.begins == one.ends for one in versions),
        "dated in advance": sum(one.begins > one.registered[:10] for one in versions),
        "ended in advance": sum(str(one.ends) > str(one.superseded)[:10] for one in superseded),
        "backdated": len(backdated),
        "backdated by more than a year": sum(
            dt.date.fromisoformat(one.registered[:10]) - dt.date.fromisoformat(one.begins)
            > dt.timedelta(days=365)
            for one in backdated
        ),
        "moments of registration": len(moments),
        "versions that say a building is gone": sum(not one.is_there for one in versions),
        "buildings that come back after that": sum(
            before.number == after.number and after.is_there and not before.is_there
            for before, after in pairwise(
                sorted(versions, key=lambda one: (one.number, one.version))
            )
        ),
        "year of construction 9999": sum(one.built == 9999 for one in versions),
    } == {
        "over on the day they began": 22,
        "dated in advance": 4,
        "ended in advance": 2,
        "backdated": 9081,
        "backdated by more than a year": 4583,
        "moments of registration": 5511,
        "versions that say a building is gone": 402,
        "buildings that come back after that": 0,
        "year of construction 9999": 3056,
    }


def test_each_answer_is_what_the_registers_own_times_say(
    replay: Replay, versions: list[Version]
) -> None:
    rng = random.Random(20260103)
    days = sorted({one.begins for one in versions})
    sizes = []
    for _ in range(PAIRS):
        number = rng.randrange(len(replay.moments)) + 1
        # half of the days are ones on which something began, or the day before
        day = dt.date.fromisoformat(rng.choice(days)) - dt.timedelta(rng.randrange(2))
        if rng.random() < 0.5:
            day = dt.date(1960, 1, 1) + dt.timedelta(rng.randrange(61 * 365))
        moment = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(
            seconds=rng.choice((0, 86_399, rng.randrange(86_400)))
        )
        rows = replay.framework.as_of_arrow(PAND, number, valid_at=moment)
        found = list(zip(rows["number"].to_pylist(), rows["version"].to_pylist(), strict=True))
        assert len(set(found)) == len(found)
        assert set(found) == said(versions, replay.moments[number - 1], day.isoformat())
        sizes.append(len(found))
    assert max(sizes) > 7000
    assert sum(size > 0 for size in sizes) > PAIRS * 0.9


def test_each_release_is_what_the_register_said_at_its_reference_time(
    replay: Replay, versions: list[Version]
) -> None:
    wkb = {(one.number, one.version): one.wkb for one in versions}
    releases = replay.framework.releases()
    assert len(releases) == len(replay.moments)
    assert RELEASES * 0.6 < len(releases) <= RELEASES
    for made, known in list(zip(releases, replay.moments, strict=True))[:: RELEASES // 10]:
        rows = replay.framework.as_of(PAND, made.number)
        found = list(zip(rows["number"], rows["version"].astype(int), strict=True))
        assert set(found) == said(versions, known, known[:10])
        assert made.layers[0].count == len(found)
        assert shapely.equals_exact(
            rows.geometry.to_numpy(), shapely.from_wkb([wkb[one] for one in found]), 0.0
        ).all()
        digest = layer_digest(layer_sum(row_digests(rows, PAND)), len(rows))
        assert made.layers[0].digest == digest


def test_the_counts_of_all_releases_add_up(replay: Replay) -> None:
    count = 0
    for made in replay.framework.releases():
        changes = made.layers[0].changes
        count += changes.get("new", 0) - changes.get("removed", 0)
        assert made.layers[0].count == count
