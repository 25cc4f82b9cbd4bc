"""A year of a bureau and its subscriber from the command line, in each home."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import pytest
import shapely

from cityframe.cli import main

FILES = {
    "schemas/parcels.yaml": """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  owner: {type: string, title: {zh: 权利人, en: Owner}}
""",
    "sources/cadastre.yaml": """\
name: cadastre
title: {zh: 地籍测量, en: Cadastral survey}
kind: survey
delivery: full
pull: {type: files, path: parcels.gpkg}
crs: EPSG:4547
feeds:
  - layer: parcels
    columns: {number: DJH, owner: QLR}
""",
    "cycles/monthly.yaml": """\
name: monthly
title: {zh: 月度更新, en: Monthly update}
sources: [cadastre]
approvers: [li]
""",
}
SETTINGS = """\
title: {zh: 小城, en: Small town}
framework: "${CITYFRAME_TEST_FRAMEWORK:-}"
signing_key: ${CITYFRAME_SIGNING_KEY:-}
retention: {landed_days: 30}
"""
OWNERS = {f"P{n}": "张" for n in range(8)}
BY_LI = ("--by", "li", "--reason", "坐标偏移")


class Desk:
    """A folder in which commands are run; a bureau's workspace is in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.root = folder / "town"
        self._capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> Any:
        common = ("--workspace", str(self.root), "--output", "json")
        ended = main([*common, *(str(one) for one in arguments)])
        printed = self._capsys.readouterr()
        assert ended == code, printed
        return json.loads(printed.out)

    def error(self, *arguments: object, code: int) -> str:
        said = self(*arguments, code=code)["error"]
        return f"{said['where']}: {said['found']}, {said['expected']}; {said['remedy']}"

    def release(self, owners: dict[str, str], month: int) -> int:
        """Deliver parcels, and make a release of them."""
        places = [500000 + 20 * int(number[1:]) for number in owners]
        frame = gpd.GeoDataFrame(
            {"DJH": list(owners), "QLR": list(owners.values())},
            geometry=[shapely.box(x, 3.4e6, x + 20, 3.40002e6) for x in places],
            crs="EPSG:4547",
        )
        path = self.root / "parcels.gpkg"
        path.unlink(missing_ok=True)
        frame.to_file(path, driver="GPKG")
        self("pull", "cadastre", "--at", f"2026-{month:02d}-01")
        ran = self("cycle", "run", "monthly", "--approve", "li", "--reason", "合格")
        return int(ran["release"])

    def package(self, name: str) -> Path:
        return self.root / "store" / "packages" / f"release-{name}"

    def new_key(self, name: str) -> tuple[Path, Path, str]:
        private = self.folder / f"{name}.pem"
        made = self("key", "new", "--name", name, "--to", private)
        return private, Path(made["public"]), str(made["key"])


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, capsys)
    desk("init")
    for name, text in {**FILES, "cityframe.yaml": SETTINGS}.items():
        (desk.root / name).write_text(text, encoding="utf-8")
    return desk


def alter_geopackage(path: str) -> Callable[[str], None]:
    def alter(statement: str) -> None:
        with sqlite3.connect(path) as connection:
            # the triggers of the R-tree name it, though they don't run
            connection.create_function("ST_IsEmpty", 1, lambda _geometry: 0)
            for name in ("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
                connection.create_function(name, 1, lambda _geometry: 0.0)
            connection.execute(statement)
        connection.close()

    return alter


def alter_postgis(url: str) -> Callable[[str], None]:
    def alter(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())

    return alter


@dataclass(frozen=True)
class Subscriber:
    """A subscriber's own database, keys and way to answer; and how to alter databases by hand."""

    own: str
    trust: Path
    key: Path
    key_id: str
    alter: Callable[[str], None]
    alter_framework: Callable[[str], None]

    @property
    def into(self) -> tuple[object, ...]:
        return ("--into", self.own, "--trust", self.trust)

    def answer(self, path: Path) -> tuple[object, ...]:
        return ("--as", "自来水公司", "--key", self.key, "--answer", path)


@pytest.fixture(params=["geopackage", "postgis"])
def subscriber(
    request: pytest.FixtureRequest, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> Subscriber:
    """Somebody who trusts the bureau's key; framework and subscription in databases of a kind."""
    if request.param == "geopackage":
        own = str(desk.folder / "own.gpkg")
        monkeypatch.delenv("CITYFRAME_TEST_FRAMEWORK", raising=False)
        alters = [alter_geopackage(own), alter_geopackage(f"{desk.root}/store/framework.gpkg")]
    else:
        url = request.getfixturevalue("postgis_url")
        own = f"{url}?schema=own"
        monkeypatch.setenv("CITYFRAME_TEST_FRAMEWORK", f"{url}?schema=home")
        alter_postgis(url)("CREATE SCHEMA own")
        path = f"{url}?options=-csearch_path%3D"
        alters = [alter_postgis(f"{path}{schema},public") for schema in ("own", "home")]
    bureau, bureau_public, _ = desk.new_key("bureau")
    water, water_public, water_id = desk.new_key("water")
    trust = desk.folder / "trust.json"
    desk("key", "trust", bureau_public, "--in", trust)
    desk("key", "trust", water_public, "--role", "subscriber")
    monkeypatch.setenv("CITYFRAME_SIGNING_KEY", str(bureau))
    return Subscriber(own, trust, water, water_id, *alters)


def test_a_year_of_a_bureau_and_its_subscriber(
    desk: Desk, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_three_releases(desk, subscriber)
    try_what_does_not_follow(desk, subscriber)
    apply_and_take_back(desk, subscriber)
    replace_the_key(desk, subscriber, monkeypatch)
    recall_and_roll_back(desk, subscriber)
    redact_everywhere(desk, subscriber)
    check_the_store(desk, subscriber)


def make_three_releases(desk: Desk, subscriber: Subscriber) -> None:
    assert desk.release(OWNERS, 1) == 1
    assert desk.release({**OWNERS, "P0": "李", "P9": "王"}, 2) == 2
    assert desk.release({**OWNERS, "P0": "李", "P9": "王", "P1": "赵"}, 3) == 3
    trusting = ("--trust", subscriber.trust)
    base = ("--base", desk.package("0001-full"))
    proved = desk("package", "verify", desk.package("0002-change"), *base, *trusting)
    assert proved["signed_by"] == desk("key", "list", "--in", subscriber.trust)["keys"][0]["key"]
    assert proved["proved"].endswith("full(2) = apply(change(2), full(1))")
    for name in ("0001-full", "0002-change"):
        desk("package", "pack", desk.package(name), "--to", desk.folder / f"{name}.zip")


def try_what_does_not_follow(desk: Desk, subscriber: Subscriber) -> None:
    """A gap, a cut and a forged file, an unknown key, rows altered by hand: nothing changes."""
    into, zipped = subscriber.into, desk.folder / "0002-change.zip"
    desk("package", "apply", desk.folder / "0001-full.zip", *into)
    third = desk.package("0003-change")
    assert "the changes to: 2" in desk.error("package", "apply", third, *into, code=2)
    cut = desk.folder / "cut.zip"
    cut.write_bytes(zipped.read_bytes()[:2000])
    assert "whole package" in desk.error("package", "apply", cut, *into, code=5)
    forged = shutil.copytree(desk.package("0002-change"), desk.folder / "forged")
    with (forged / "NOTES.en.md").open("a", encoding="utf-8") as notes:
        notes.write("!")
    assert "NOTES.en.md" in desk.error("package", "apply", forged, *into, code=5)
    others = desk.folder / "others.json"
    desk("key", "trust", f"{subscriber.key}.pub", "--in", others)
    stranger = ("--into", subscriber.own, "--trust", others)
    assert "not in the trust store" in desk.error("package", "apply", zipped, *stranger, code=5)

    subscriber.alter("UPDATE parcels SET owner = '谁' WHERE number = 'P0'")
    base = desk.package("0001-full")
    altered = desk("package", "compare", base, *into)["layers"]["parcels"]["altered"]
    assert altered[0] in desk.error("package", "apply", zipped, *into, code=5)
    subscriber.alter("UPDATE parcels SET owner = '张' WHERE number = 'P0'")
    assert desk("package", "compare", base, *into)["layers"] == {}


def apply_and_take_back(desk: Desk, subscriber: Subscriber) -> None:
    into, second, third = subscriber.into, desk.folder / "0002-change.zip", "0003-change"
    receipt = desk.folder / "receipt.json"
    applied = desk("package", "apply", second, *into, *subscriber.answer(receipt))
    shown = desk("release", "show", 2)["layers"][0]
    assert applied["layers"]["parcels"] == {name: shown[name] for name in ("count", "digest")}
    checked = desk("key", "check", receipt)
    assert (checked["signed_by"], checked["statement"]["release"]) == (subscriber.key_id, 2)
    assert "applied already" in desk.error("package", "apply", second, *into, code=2)

    desk("package", "apply", desk.package(third), *into)
    undone = desk("package", "undo", desk.package(third), "--into", subscriber.own)
    assert undone["release"] == 2
    inverse = desk.folder / "inverse"
    desk("package", "invert", desk.package(third), "--to", inverse)
    proved = desk("package", "verify", inverse, "--base", desk.package("0003-full"))["proved"]
    assert proved.endswith("full(2) = apply(invert(change(3)), full(3))")
    desk("package", "apply", desk.package(third), *into)


def replace_the_key(desk: Desk, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second key takes over from release 4 on; what the first signs about it is void."""
    old = desk.folder / "bureau.pem"
    new, _, _ = desk.new_key("spare")
    rotation, revocation = desk.folder / "rotation.json", desk.folder / "revocation.json"
    since = ("--from-release", 4)
    desk("key", "rotate", "--old", old, "--new", new, *since, "--to", rotation)
    desk("key", "apply", rotation, "--in", subscriber.trust)
    assert desk.release({**OWNERS, "P0": "李", "P9": "误", "P1": "赵"}, 4) == 4
    applying = ("package", "apply", desk.package("0004-change"), *subscriber.into)
    assert "replaced from release 4" in desk.error(*applying, code=5)

    keys = desk("key", "list", "--in", subscriber.trust)["keys"]
    replaced = next(one["key"] for one in keys if one["status"] == "replaced")
    void = ("--by", new, "--reason", "笔记本被盗", *since)
    desk("key", "revoke", replaced, *void, "--to", revocation)
    desk("key", "apply", revocation, "--in", subscriber.trust)
    assert "笔记本被盗" in desk.error(*applying, code=5)
    monkeypatch.setenv("CITYFRAME_SIGNING_KEY", str(new))
    built = desk("package", "build", 4, "--to", desk.folder / "again")["packages"]
    assert desk("package", "apply", built["change"], *subscriber.into)["release"] == 4


def recall_and_roll_back(desk: Desk, subscriber: Subscriber) -> None:
    desk("release", "name", 3, "spring")
    subscriber.alter_framework("CREATE TABLE seen AS SELECT uid, owner FROM parcels_spring")
    assert desk("release", "unname", "spring")["dropped"] == ["parcels_spring"]

    recall = ("release", "recall", 4)
    assert "li" in desk.error(*recall, "--by", "wu", "--reason", "x", code=4)
    assert "is recalled" in desk.error(*recall, *BY_LI, "--replaced-by", 4, code=2)
    statement = desk(*recall, *BY_LI, "--replaced-by", 3)["statement"]
    assert desk("release", "rollback", 3, *BY_LI)["release"] == 5
    assert "says the same" in desk.error("release", "rollback", 3, *BY_LI, code=2)
    listed = desk("release", "list")["releases"]
    assert [one["release"] for one in listed if one["is_recalled"]] == [4]

    # the roll-back names the recall: who has not read it stays where they are
    applying = ("package", "apply", desk.package("0005-change"), *subscriber.into)
    assert "not acknowledged" in desk.error(*applying, code=4)
    told = desk.folder / "told.json"
    desk("package", "acknowledge", statement, *subscriber.into, *subscriber.answer(told))
    assert desk("key", "check", told, "--release", 4)["signed_by"] == subscriber.key_id
    assert "names no release" in desk.error("key", "check", told, code=2)
    digest = desk("release", "show", 3)["layers"][0]["digest"]
    assert desk(*applying)["layers"]["parcels"]["digest"] == digest


def redact_everywhere(desk: Desk, subscriber: Subscriber) -> None:
    """Personal data goes from all of history, and from the subscriber's database."""
    uid = desk("diff", 2, 3, "--features")["features"][0]["uid"]
    redact = ("redact", "parcels", uid, "--attributes", "owner")
    assert desk(*redact, "--dry-run")["rows"] > 1
    assert "--decision" in desk.error(*redact, "--by", "li", code=4)
    assert desk(*redact, "--by", "li", "--decision", "决定 2026-7")["release"] == 6
    assert {row["attributes"].get("owner") for row in desk("history", uid)["rows"]} == {None}
    evidence = desk("release", "show", 6)["evidence"]
    assert [one["release"] for one in evidence["recalls"]] == [4]

    package = desk.package("0006-change")
    applied = desk("package", "apply", package, *subscriber.into)
    assert [one["uid"] for one in applied["redactions"]] == [uid]
    undo = ("package", "undo", package, "--into", subscriber.own)
    assert "does not come back" in desk.error(*undo, code=4)


def check_the_store(desk: Desk, subscriber: Subscriber) -> None:
    assert desk("fsck")["is_sound"]
    layout = desk("migrate")
    assert layout["before"] == layout["after"]
    assert desk("prune", "--dry-run", "--at", "2099-01-01")["bytes"] > 0
    subscriber.alter_framework("UPDATE parcels_history SET owner = '谁' WHERE fid = 2")
    # the row may be one that was redacted: its two records then disagree with it
    assert {one["fid"] for one in desk("fsck", "--quick", code=5)["damages"]} == {2}


def test_a_lost_or_damaged_framework_is_told(desk: Desk) -> None:
    desk.release(OWNERS, 1)
    framework = desk.root / "store" / "framework.gpkg"
    whole = framework.read_bytes()
    with sqlite3.connect(framework) as connection:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        tables = "SELECT rootpage FROM sqlite_master WHERE name = 'parcels_history'"
        root = (connection.execute(tables).fetchone()[0] - 1) * page
    connection.close()
    framework.write_bytes(whole[:root] + b"\xff" * page + whole[root + page :])
    assert "a whole GeoPackage" in desk.error("diff", 0, 1, code=5)
    framework.write_bytes(whole[:20000])
    assert "whole SQLite file" in desk.error("release", "list", code=5)
    assert "unreadable" in desk("fsck", code=5)["damages"][0]["found"]
    framework.unlink()
    assert [one["found"] for one in desk("fsck", code=5)["damages"]] == ["no release 1"]


def test_a_signing_key_that_is_not_there_is_told_before_a_release(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYFRAME_SIGNING_KEY", str(desk.folder / "nowhere.pem"))
    assert "nowhere.pem" in desk.error("validate", code=2)


def test_a_table_is_aligned_where_names_are_chinese(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("测绘局", "Bureau"):
        _, public, _ = desk.new_key(name)
        desk("key", "trust", public)
    assert main(["--workspace", str(desk.root), "key", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    places = {line.index("publisher") + sum(one > "\u2fff" for one in line) for line in lines[1:]}
    assert len(places) == 1
