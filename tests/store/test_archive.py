"""The archive: content-addressed, durable, all or nothing."""

import datetime as dt
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cityframe.errors import (
    DeclarationError,
    IntegrityError,
    PrunedError,
    QuarantinedError,
    SourceUnreachableError,
)
from cityframe.model.delivery import Delivery
from cityframe.store.archive import Archive
from cityframe.store.pruned import PruneNote, read_note, write_note

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)

NOTE = PruneNote("2026-06-01T00:00:00+00:00", "li", "retention: landed_days 730", False, 3)
ORDER = PruneNote("2026-06-01T00:00:00+00:00", "li", "order 7", True, 3)


def land(archive: Archive, content: dict[str, bytes], source: str = "survey") -> Delivery:
    return land_news(archive, content, source)[0]


def land_news(
    archive: Archive, content: dict[str, bytes], source: str = "survey"
) -> tuple[Delivery, bool]:
    with archive.receiving(source) as folder:
        for name, data in content.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return archive.land(
            folder,
            source=source,
            origin="/feeds/survey",
            observed_at=NOON,
            landed_at=NOON + dt.timedelta(hours=1),
            watermark="7",
        )


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def leftovers(archive: Archive) -> list[str]:
    return [path.name for path in (archive.root / ".receiving").iterdir() if path.name != "lock"]


def test_landed_bytes_and_manifest_are_found_again(archive: Archive) -> None:
    delivery = land(archive, {"b/建筑.geojson": b"{}", "a.csv": b"x\n1\n"})
    again = Archive(archive.root).get(delivery.id)
    assert again == delivery
    assert [file.path for file in again.files] == ["a.csv", "b/建筑.geojson"]
    assert again.observed_at == "2024-05-01T12:00:00Z"
    assert again.watermark == "7"
    assert (archive.files(delivery.id) / "b/建筑.geojson").read_bytes() == b"{}"
    assert archive.verify(delivery.id) == delivery
    assert leftovers(archive) == []


def test_identity_is_that_of_the_documented_digest(archive: Archive) -> None:
    content = {"b.csv": b"2", "a/a.csv": b"1"}
    delivery = land(archive, content)
    body = b"".join(
        name.encode() + b"\0" + hashlib.sha256(content[name]).hexdigest().encode() + b"\n"
        for name in sorted(content)
    )
    assert delivery.digest == hashlib.sha256(body).hexdigest()
    assert delivery.id == f"survey.{delivery.digest[:16]}"


def test_same_bytes_are_the_same_delivery_written_once(archive: Archive) -> None:
    first, is_new = land_news(archive, {"a.csv": b"1"})
    assert is_new
    path = archive.files(first.id) / "a.csv"
    before = path.stat().st_ino
    second, is_new = land_news(archive, {"a.csv": b"1"})
    assert not is_new
    assert second == first
    assert path.stat().st_ino == before
    assert [one.id for one in archive.deliveries("survey")] == [first.id]
    assert leftovers(archive) == []


def test_other_name_or_other_bytes_are_another_delivery(archive: Archive) -> None:
    ids = {
        land(archive, content).id
        for content in (
            {"a.csv": b"1"},
            {"b.csv": b"1"},
            {"a.csv": b"2"},
            {"a.csv": b"1", "c": b""},
        )
    }
    assert len(ids) == 4
    assert {one.id for one in archive.deliveries("survey")} == ids
    assert archive.deliveries("other") == ()


def test_empty_pull_is_refused(archive: Archive) -> None:
    with archive.receiving("survey") as folder:
        (folder / "empty").mkdir()
        with pytest.raises(SourceUnreachableError, match="brought no file"):
            archive.land(folder, source="survey", origin="", observed_at=NOON, landed_at=NOON)
    assert archive.deliveries("survey") == ()


@pytest.mark.parametrize("kind", ["file link", "folder link", "hard link", "fifo"])
def test_links_and_special_files_are_refused(archive: Archive, tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("x")
    with archive.receiving("survey") as folder:
        if kind == "file link":
            (folder / "odd").symlink_to(tmp_path / "secret" / "key")
        elif kind == "folder link":
            (folder / "odd").symlink_to(tmp_path / "secret")
        elif kind == "hard link":
            (folder / "odd").hardlink_to(tmp_path / "secret" / "key")
        else:
            os.mkfifo(folder / "odd")
        with pytest.raises(QuarantinedError, match="odd: a link or a special file"):
            archive.land(folder, source="survey", origin="", observed_at=NOON, landed_at=NOON)
    assert (tmp_path / "secret" / "key").read_text() == "x"


@pytest.mark.parametrize("name", [b"a\\..\\b", b"a\nb", b"\xff\xfe"])
def test_names_that_are_not_plain_are_refused(archive: Archive, name: bytes) -> None:
    with archive.receiving("survey") as folder:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("x")
        with pytest.raises(QuarantinedError, match="a name that is not plain"):
            archive.land(folder, source="survey", origin="", observed_at=NOON, landed_at=NOON)


def test_folder_of_another_place_is_refused(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="did not give out"):
        archive.land(tmp_path, source="survey", origin="", observed_at=NOON, landed_at=NOON)


def test_moment_without_a_zone_is_refused(archive: Archive) -> None:
    with archive.receiving("survey") as folder:
        (folder / "a").write_text("x")
        naive = NOON.replace(tzinfo=None)
        with pytest.raises(DeclarationError, match="a moment with a time zone"):
            archive.land(folder, source="survey", origin="", observed_at=naive, landed_at=NOON)


def test_verify_names_the_file_whose_bytes_changed(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1", "b.csv": b"2"})
    path = archive.files(delivery.id) / "b.csv"
    path.chmod(0o644)
    path.write_bytes(b"3")
    with pytest.raises(IntegrityError, match=r"b\.csv: the bytes changed"):
        archive.verify(delivery.id)


def test_verify_sees_missing_and_added_files(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1", "b.csv": b"2"})
    extra = archive.files(delivery.id) / "c.csv"
    extra.write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"c\.csv: the file is not in the manifest"):
        archive.verify(delivery.id)
    extra.unlink()
    (archive.files(delivery.id) / "a.csv").unlink()
    with pytest.raises(IntegrityError, match=r"a\.csv: the file is gone"):
        archive.verify(delivery.id)


def test_manifest_that_was_tampered_with_is_refused(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    path = archive.root / "survey" / delivery.id / "manifest.json"
    body = json.loads(path.read_text())
    body["files"][0]["sha256"] = "0" * 64
    path.chmod(0o644)
    path.write_text(json.dumps(body))
    with pytest.raises(IntegrityError, match="manifest is damaged"):
        archive.get(delivery.id)
    path.write_text("[]")
    with pytest.raises(IntegrityError, match="manifest is damaged"):
        archive.get(delivery.id)


@pytest.mark.parametrize("name", ["survey.0123456789abcdef", "../../etc/passwd", "survey"])
def test_unknown_delivery_is_a_clear_error(archive: Archive, name: str) -> None:
    with pytest.raises(DeclarationError, match="no delivery"):
        archive.get(name)


def test_another_delivery_of_the_same_id_is_not_taken_for_this_one(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    manifest = archive.root / "survey" / delivery.id / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace(delivery.digest[16:], "0" * 48))
    with pytest.raises(IntegrityError):
        land(archive, {"a.csv": b"1"})


def test_receiving_of_a_living_process_is_left_alone(archive: Archive) -> None:
    with archive.receiving("survey") as first:
        (first / "a.csv").write_bytes(b"1")
        with archive.receiving("survey"):
            assert (first / "a.csv").exists()
        assert len([name for name in leftovers(archive) if not name.endswith(".lock")]) == 1


LANDING = """
import datetime as dt, sys
from pathlib import Path
from cityframe.store.archive import Archive
archive = Archive(Path(sys.argv[1]))
now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
print("ready", flush=True)
for number in range(10_000):
    with archive.receiving("survey") as folder:
        for part in range(8):
            (folder / f"{part}.bin").write_bytes(f"{number}".encode() * 20_000)
        archive.land(folder, source="survey", origin="", observed_at=now, landed_at=now)
"""


def test_killed_while_landing_leaves_whole_deliveries_only(archive: Archive) -> None:
    rng = random.Random(7)
    landed = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", LANDING, str(archive.root)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.02, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        deliveries = archive.deliveries("survey")
        assert len(deliveries) >= landed
        landed = len(deliveries)
        for delivery in deliveries:
            archive.verify(delivery.id)
    assert landed > 0
    with archive.receiving("survey"):
        assert len([name for name in leftovers(archive) if not name.endswith(".lock")]) == 1
    assert leftovers(archive) == []


@pytest.mark.parametrize("step", ["manifest", "rename"])
def test_killed_right_before_a_step_shows_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    script = f"""
import os, signal, sys
from pathlib import Path
import cityframe.store.archive as module
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if {step!r} == "manifest":
    module._write_manifest = die
else:
    Path.rename = die
sys.argv[1:] = [{str(archive.root)!r}]
exec({LANDING!r})
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert archive.deliveries("survey") == ()
    assert leftovers(archive) != []
    land(archive, {"a.csv": b"1"})
    assert leftovers(archive) == []


def test_pruned_delivery_keeps_its_manifest_and_says_so(archive: Archive) -> None:
    delivery = land(archive, {"a/a.csv": b"1", "b.csv": b"22"})
    other = land(archive, {"a/a.csv": b"2"})
    archive.prune(delivery.id, NOTE)
    assert archive.is_pruned(delivery.id)
    assert archive.pruned(delivery.id) == NOTE
    assert archive.get(delivery.id) == delivery
    assert {one.id for one in archive.deliveries("survey")} == {delivery.id, other.id}
    folder = archive.root / "survey" / delivery.id
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "pruned.json"]
    assert sorted(path.name for path in archive.root.iterdir()) == [".receiving", "survey"]
    said = r"pruned at 2026-06-01T00:00:00\+00:00 by li: retention: landed_days 730"
    for reader in (archive.verify, archive.files):
        with pytest.raises(PrunedError, match=said):
            reader(delivery.id)
    assert not archive.is_pruned(other.id)
    archive.verify(other.id)


def test_unknown_delivery_is_neither_pruned_nor_left_a_note(archive: Archive) -> None:
    land(archive, {"a.csv": b"1"})
    with pytest.raises(DeclarationError, match="no delivery"):
        archive.prune("survey.0123456789abcdef", NOTE)
    assert len(list((archive.root / "survey").iterdir())) == 1


def test_files_that_are_gone_without_a_note_are_damage_not_pruned(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    (archive.files(delivery.id) / "a.csv").unlink()
    archive.files(delivery.id).rmdir()
    assert not archive.is_pruned(delivery.id)
    with pytest.raises(IntegrityError, match="the file is gone"):
        archive.verify(delivery.id)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "cityframe-pruned/2"}'])
def test_damaged_note_is_told_as_such(archive: Archive, text: str) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    archive.prune(delivery.id, NOTE)
    (archive.root / "survey" / delivery.id / "pruned.json").write_text(text)
    with pytest.raises(IntegrityError, match="the note is damaged"):
        archive.verify(delivery.id)


def test_bytes_pruned_for_their_age_may_land_again(archive: Archive) -> None:
    content = {"a/a.csv": b"1", "b.csv": b"22"}
    delivery = land(archive, content)
    archive.prune(delivery.id, NOTE)
    again, is_new = land_news(archive, content)
    assert (again, is_new) == (delivery, False)
    assert not archive.is_pruned(delivery.id)
    assert archive.verify(delivery.id) == delivery
    path = archive.files(delivery.id) / "a/a.csv"
    assert path.stat().st_mode & 0o222 == 0
    assert read_note(path.parents[2]) is None
    assert leftovers(archive) == []


def test_bytes_pruned_by_order_do_not_land_again(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    archive.prune(delivery.id, ORDER)
    with pytest.raises(QuarantinedError, match=r"pruned at .* by li: order 7"):
        land(archive, {"a.csv": b"1"})
    assert archive.pruned(delivery.id) == ORDER
    assert leftovers(archive) == []


def test_an_order_bars_what_was_pruned_for_its_age(archive: Archive) -> None:
    delivery = land(archive, {"a.csv": b"1"})
    archive.prune(delivery.id, NOTE)
    archive.prune(delivery.id, ORDER)
    with pytest.raises(QuarantinedError, match="order 7"):
        land(archive, {"a.csv": b"1"})


def test_a_note_beside_the_bytes_counts_for_nothing(archive: Archive) -> None:
    # what a pruning leaves that was killed before its rename, or a landing after its own
    delivery = land(archive, {"a.csv": b"1"})
    write_note(archive.root / "survey" / delivery.id, ORDER)
    assert not archive.is_pruned(delivery.id)
    assert archive.verify(delivery.id) == delivery
    assert land_news(archive, {"a.csv": b"1"}) == (delivery, False)
    archive.prune(delivery.id, NOTE)
    assert archive.pruned(delivery.id) == NOTE


def test_what_a_killed_pruning_could_not_delete_goes_with_the_next(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = land(archive, {"a.csv": b"1"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cityframe.store.archive.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            archive.prune(delivery.id, NOTE)
    assert archive.pruned(delivery.id) == NOTE
    assert (archive.root / ".pruned").exists()
    archive.prune(delivery.id, NOTE)
    assert not (archive.root / ".pruned").exists()
