"""The command line as other programs call it."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import jsonschema
import pyogrio
import pytest
import shapely

from cityframe.cli import main
from cityframe.config.document import read_yaml

SCHEMA = """\
name: parcels
title: {zh: 宗地, en: Parcels}
geometry: Polygon
crs: EPSG:4547
accuracy_m: 0.05
key: number
attributes:
  number: {type: string, title: {zh: 编号, en: Number}, nullable: false}
  use: {type: string, title: {zh: 用途, en: Use}}
"""
SOURCE = """\
name: cadastre
title: {zh: 地籍测量, en: Cadastral survey}
kind: survey
delivery: full
pull: {type: files, path: parcels.gpkg}
crs: EPSG:4547
feeds:
  - layer: parcels
    columns: {number: DJH, use: YT}
    guards: {removed_min: 3}
"""
SERIES = """\
name: monthly
title: {zh: 月度更新, en: Monthly update}
sources: [cadastre]
approvers: [li]
"""


class Shell:
    """Runs commands in a workspace and reads what they print."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        assert main(["--workspace", str(self.root), "--output", "json", *arguments]) == code
        printed = self._capsys.readouterr()
        return json.loads(printed.out)

    def text(self, *arguments: str, code: int = 0) -> str:
        assert main(["--workspace", str(self.root), *arguments]) == code
        return self._capsys.readouterr().out

    def deliver(self, uses: dict[str, str], at: str) -> Any:
        frame = gpd.GeoDataFrame(
            {"DJH": list(uses), "YT": list(uses.values())},
            geometry=[
                shapely.box(500000 + 20 * int(n[1:]), 3.4e6, 500020 + 20 * int(n[1:]), 3.40002e6)
                for n in uses
            ],
            crs="EPSG:4547",
        )
        path = self.root / "parcels.gpkg"
        path.unlink(missing_ok=True)
        frame.to_file(path, driver="GPKG")
        return self("pull", "cadastre", "--at", at)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    shell = Shell(tmp_path / "w", capsys)
    made = shell("init")
    assert (shell.root / "cityframe.yaml").exists()
    assert len(made["made"]) == 5
    for name, text in (
        ("schemas/parcels.yaml", SCHEMA),
        ("sources/cadastre.yaml", SOURCE),
        ("cycles/monthly.yaml", SERIES),
    ):
        (shell.root / name).write_text(text, encoding="utf-8")
    return shell


FIRST = {f"P{n}": "a" for n in range(10)}
SECOND = {**{f"P{n}": "a" for n in range(9)}, "P0": "b", "P20": "c"}


def test_a_whole_life_from_the_command_line(shell: Shell, tmp_path: Path) -> None:
    assert shell("validate") == {
        "workspace": str(shell.root), "layers": 1, "sources": 1, "rules": 0, "series": 1,
    }  # fmt: skip
    landed = shell.deliver(FIRST, "2026-01-01")
    assert landed["is_new"]
    assert landed["delivery"].startswith("cadastre.")
    again = shell("pull", "cadastre", "--at", "2026-01-02")
    assert (again["is_new"], again["delivery"]) == (False, landed["delivery"])

    stopped = shell("cycle", "run", "monthly", code=4)
    assert (stopped["state"], stopped["release"]) == ("in-review", None)
    taken = shell("cycle", "approve", "monthly", "--by", "li", "--reason", "looked at it")
    assert taken["candidate_digest"] == stopped["candidate_digest"]
    assert shell("cycle", "run", "monthly")["release"] == 1

    shell.deliver(SECOND, "2026-02-01")
    ran = shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    assert (ran["cycle"], ran["release"], ran["state"]) == ("monthly-0002", 2, "published")
    nothing = shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    assert nothing["release"] is None
    assert "nothing landed" in nothing["reason"]

    assert [one["release"] for one in shell("release", "list")["releases"]] == [1, 2]
    shown = shell("release", "show", "2")
    assert shown["evidence"]["decisions"][0]["who"] == "li"
    found = shell("diff", "1", "2", "--features")
    assert found["layers"] == {"parcels": {"attributes": 1, "new": 1, "removed": 1}}
    assert shell("diff", "1", "2", "--layer", "parcels")["layers"] == found["layers"]
    changed = next(one for one in found["features"] if one["change"] == "attributes")
    history = shell("history", changed["uid"])
    assert [row["attributes"]["use"] for row in history["rows"]] == ["a", "a", "b"]

    target = tmp_path / "out" / "old.gpkg"
    exported = shell(
        "export", "2", "--layer", "parcels", "--to", str(target), "--valid-at", "2026-01-15"
    )
    assert exported["features"] == 10
    assert set(pyogrio.read_dataframe(target)["use"]) == {"a"}
    near = shell(
        "export", "2", "--layer", "parcels", "--to", str(tmp_path / "near.geojson"),
        "--bbox", "500001,3399999,500002,3400001",
    )  # fmt: skip
    assert near["features"] == 1

    built = shell("package", "build", "2", "--to", str(tmp_path / "p"))["packages"]
    first = shell("package", "build", "1", "--to", str(tmp_path / "p"))["packages"]
    proved = shell("package", "verify", built["change"], "--base", first["full"])
    assert proved["proved"].endswith("full(2) = apply(change(2), full(1))")

    report = tmp_path / "report.html"
    assert shell("report", "2", "--to", str(report), "--language", "en")["cycle"] == "monthly-0002"
    assert "<html" in report.read_text(encoding="utf-8")

    back = shell("release", "rollback", "1", "--by", "li", "--reason", "mistake")
    assert back["release"] == 3
    assert shell("diff", "1", "3")["layers"] == {}
    status = shell("cycle", "status")["cycles"]
    assert [one["state"] for one in status] == ["published", "published", "planned"]


def test_a_subscriber_applies_a_redaction_and_answers(shell: Shell, tmp_path: Path) -> None:
    for name in ("bureau", "water"):
        shell("key", "new", "--name", name, "--to", str(tmp_path / f"{name}.pem"))
    shell("key", "trust", str(tmp_path / "bureau.pem.pub"))
    settings = shell.root / "cityframe.yaml"
    signed = f"signing_key: {tmp_path / 'bureau.pem'}\n"
    settings.write_text(settings.read_text(encoding="utf-8") + signed, encoding="utf-8")
    for delivered, at in ((FIRST, "2026-01-01"), (SECOND, "2026-02-01")):
        shell.deliver(delivered, at)
        shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    rows = shell("diff", "1", "2", "--features")["features"]
    uid = next(one["uid"] for one in rows if one["change"] == "attributes")

    packages = shell.root / "store" / "packages"
    trusting = ("--trust", str(shell.root / "keys" / "trust.json"))
    into = ("--into", str(tmp_path / "mine.gpkg"))
    change = str(packages / "release-0002-change")
    shell("package", "apply", str(packages / "release-0001-full"), *into, *trusting)
    shell("package", "apply", change, *into, *trusting)
    assert shell("package", "undo", change, *into)["release"] == 1
    shell("package", "apply", change, *into, *trusting)

    shell("redact", "parcels", uid, "--attributes", "use", "--decision", "order 7", "--by", "li")
    redaction = str(packages / "release-0003-change")
    base = ("--base", str(packages / "release-0002-full"))
    assert shell("package", "verify", redaction, *base, *trusting)["is_signature_checked"]
    applied = shell("package", "apply", redaction, *into, *trusting)
    assert [(one["uid"], one["attributes"]) for one in applied["redactions"]] == [(uid, ["use"])]
    uses = pyogrio.read_dataframe(tmp_path / "mine.gpkg", layer="parcels").set_index("uid")["use"]
    assert uses.isna().to_dict()[uid]
    assert uses.isna().sum() == 1

    answer = ("--as", "Water works", "--key", str(tmp_path / "water.pem"))
    receipt = ("--answer", str(tmp_path / "receipt.json"))
    assert "no answer" in shell("package", "receipt", *into, code=2)["error"]["found"]
    signed_body = shell("package", "receipt", *into, *answer, *receipt)["statement"]
    assert (signed_body["release"], signed_body["layers"]) == (3, applied["layers"])


def test_a_quarantine_ends_with_4(shell: Shell) -> None:
    shell.deliver(FIRST, "2026-01-01")
    shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    shell.deliver({"P1": "a"}, "2026-02-01")
    outcome = shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok", code=4)
    assert outcome["release"] is None
    assert "removed" in outcome["quarantined"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("pull", "nobody"), 2, "no source 'nobody'"),
        (("pull", "cadastre", "--from", "nowhere"), 3, "nowhere"),
        (("cycle", "run", "weekly"), 2, "no series 'weekly'"),
        (("cycle", "run", "monthly", "--approve", "li"), 2, "--approve without --reason"),
        (("cycle", "approve", "monthly", "--reason", "x"), 2, "no cycle is open"),
        (("release", "show", "7"), 2, "no release 7"),
        (("diff", "1", "2"), 2, "no release 1"),
        (("history", "XYZ"), 2, "no feature 'XYZ'"),
        (("export", "1", "--layer", "x", "--to", "a.doc"), 2, "format '.doc'"),
        (("package", "verify", "nowhere"), 2, ""),
        (("report", "monthly-0009", "--to", "x.html"), 2, "no cycle 'monthly-0009'"),
        (("init",), 2, "a workspace already"),
    ],
)
def test_errors_have_their_exit_code_and_one_object(
    shell: Shell, arguments: tuple[str, ...], code: int, found: str
) -> None:
    error = shell(*arguments, code=code)["error"]
    assert error["exit_code"] == code
    assert found in error["found"] or found in error["where"]


def test_usage_errors_end_with_2(shell: Shell) -> None:
    for arguments in (["fly"], ["cycle", "approve", "monthly"], ["export", "1"]):
        with pytest.raises(SystemExit) as stopped:
            main(["--workspace", str(shell.root), *arguments])
        assert stopped.value.code == 2


def test_options_may_stand_after_the_command(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--workspace", str(shell.root), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == 1
    assert shell.text("validate") == "valid: 1 layers, 1 sources, 0 rules, 1 series\n"


def test_json_schemas_are_written_for_editors(shell: Shell, tmp_path: Path) -> None:
    written = shell("schemas", "--to", str(tmp_path / "s"))["written"]
    assert len(written) == 6
    schema = json.loads((tmp_path / "s" / "source.schema.json").read_text(encoding="utf-8"))
    assert "feeds" in schema["properties"]


def test_json_schemas_accept_all_declarations_of_the_repository(
    shell: Shell, tmp_path: Path
) -> None:
    shell("schemas", "--to", str(tmp_path / "s"))
    root = Path(__file__).resolve().parents[2]
    checked = 0
    for workspace in (root, root / "examples" / "cambridge"):
        for folder, name in (
            ("schemas", "layer"), ("sources", "source"), ("quality_rules", "rules"),
            ("cycles", "series"), ("quality_rules/scoring", "scoring"),
        ):  # fmt: skip
            schema = json.loads((tmp_path / "s" / f"{name}.schema.json").read_text("utf-8"))
            for path in sorted((workspace / folder).glob("*.yaml")):
                data, _ = read_yaml(path)
                jsonschema.validate(json.loads(json.dumps(data, default=str)), schema)
                checked += 1
    assert checked > 40


def test_an_unforeseen_error_is_one_object_and_ends_with_1(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path) -> dict[str, int]:
        message = "boom"
        raise RuntimeError(message)

    monkeypatch.setattr("cityframe.cli.validate.validate_workspace", fail)
    assert shell("validate", code=1)["error"]["found"] == "RuntimeError: boom"


def test_a_layer_without_attributes_is_released(shell: Shell) -> None:
    path = shell.root / "schemas" / "parcels.yaml"
    head = SCHEMA.partition("key:")[0]
    path.write_text(head + "attributes: {}\n", encoding="utf-8")
    path = shell.root / "sources" / "cadastre.yaml"
    text = SOURCE.replace("columns: {number: DJH, use: YT}", "columns: {}\n    ignore: [DJH, YT]")
    path.write_text(text.replace("    guards", "    missing_key: match\n    guards"), "utf-8")
    shell.deliver(FIRST, "2026-01-01")
    ran = shell("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    assert ran["release"] == 1
