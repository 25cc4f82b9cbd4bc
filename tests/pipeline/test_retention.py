"""Retention: what goes, what stays, what readers are told, and prunes that are killed."""

import datetime as dt
import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cityframe.errors import (
    DeclarationError,
    GateClosedError,
    PrunedError,
    QuarantinedError,
    SourceUnreachableError,
)
from cityframe.pipeline import retention
from cityframe.pipeline.city import open_city
from cityframe.pipeline.cycle import check_candidate, release
from cityframe.pipeline.plan import open_cycle, read_plan
from cityframe.pipeline.prunable import Part, Prunable, due
from cityframe.pipeline.publishing import build_packages, verify_package
from cityframe.pipeline.pull import pull
from cityframe.pipeline.report_export import export_report
from cityframe.pipeline.retention import JOURNAL_FILE, prune, prune_deliveries, unfinished
from cityframe.pipeline.review import send_back
from cityframe.pipeline.truth import cycle_changes
from cityframe.store.ledger import Ledger

RETENTION = "retention: {landed_days: 730, candidate_days: 180, working_days: 90}\n"
Parcel = tuple[str, float, float, str | None]


def later(days: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def declare(root: Path, text: str = RETENTION) -> None:
    with (root / "cityframe.yaml").open("a", encoding="utf-8") as file:
        file.write(text)


def what(items: tuple[Prunable, ...]) -> set[tuple[str, str, str]]:
    return {(one.part.value, one.cycle, one.delivery) for one in items}


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder; locks and databases left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and ".sqlite" not in path.name
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs three releases leaves them for the others."""
    return tmp_path_factory.mktemp("prepared") / "town"


@pytest.fixture
def deliveries(town: Any, grid: list[Parcel], prepared: Path) -> list[str]:
    """Three releases from three deliveries of the cadastre."""
    if prepared.exists():
        shutil.copytree(prepared, town.root, dirs_exist_ok=True)
    else:
        declare(town.root)
        for number, month in enumerate(("01", "02", "03")):
            parcels = [*grid[: 99 - number], (f"P90{number}", 0.0, 11.0, "1")]
            town.deliver_parcels(parcels, at=f"2026-{month}-01")
            assert town.run().release == number + 1
        shutil.copytree(town.root, prepared)
    return [entry.body["delivery"] for entry in town.city.ledger.entries(what="landed")]


@pytest.fixture
def in_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 1000 days have passed."""
    monkeypatch.setattr(retention, "now", lambda: later(1000))


def test_each_part_is_due_at_its_own_age_and_the_newest_delivery_stays(
    town: Any, deliveries: list[str]
) -> None:
    city = town.city
    cycles = ["monthly-0001", "monthly-0002", "monthly-0003"]
    working = {("working", cycle, one) for cycle, one in zip(cycles, deliveries, strict=True)}
    candidates = {("candidate", cycle, "") for cycle in cycles}
    assert due(city, later(89)) == ()
    assert what(due(city, later(91))) == working
    assert what(due(city, later(181))) == working | candidates
    assert what(due(city, later(729))) == working | candidates
    landed = {("landed", "", one) for one in deliveries[:2]}
    assert what(due(city, later(731))) == working | candidates | landed


def test_the_sizes_are_those_of_the_files(town: Any, deliveries: list[str]) -> None:
    city = town.city
    sizes = {(one.part, one.cycle, one.delivery): one.bytes for one in due(city, later(731))}
    files = city.archive.files(deliveries[0])
    assert sizes[Part.LANDED, "", deliveries[0]] == sum(
        path.stat().st_size for path in files.rglob("*") if path.is_file()
    )
    candidate = city.cycle_folder("monthly-0001") / "candidate"
    assert sizes[Part.CANDIDATE, "monthly-0001", ""] == sum(
        path.stat().st_size for path in candidate.glob("*.parquet")
    )


@pytest.mark.usefixtures("in_future", "deliveries")
def test_what_is_not_declared_is_kept_for_ever(town: Any) -> None:
    path = town.root / "cityframe.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(RETENTION, ""), encoding="utf-8")
    before = contents(town.city.workspace.store)
    assert prune(town.city) == ()
    assert contents(town.city.workspace.store) == before
    declare(town.root, "retention: {candidate_days: 1}\n")
    (done,) = prune(town.city)
    assert {one.part for one in done.items} == {Part.CANDIDATE}


@pytest.mark.usefixtures("in_future")
def test_only_tables_and_landed_bytes_go_and_one_entry_says_so(
    town: Any, deliveries: list[str]
) -> None:
    store = town.city.workspace.store
    before = contents(store)
    releases = town.city.framework.releases()
    (done,) = prune(town.city)
    after = contents(store)
    gone, added = before.keys() - after.keys(), after.keys() - before.keys()
    assert gone
    for name in gone:
        is_landed = name.startswith("archive/cadastre/") and "/files/" in name
        assert is_landed or (name.startswith("cycles/") and name.endswith(".parquet"))
    assert {Path(name).name for name in added} == {"pruned.json"}
    assert all(after[name] == digest for name, digest in before.items() if name in after)
    assert done.bytes == sum(one.bytes for one in done.items) > 0
    assert not (store / JOURNAL_FILE).exists()
    assert not (store / "archive" / ".pruned").exists()

    city = town.city
    assert city.framework.releases() == releases
    (entry,) = city.ledger.entries(what="pruned")
    assert entry.body["items"] == [
        {"part": one.part.value, "cycle": one.cycle, "delivery": one.delivery,
         "since": one.since, "bytes": one.bytes}
        for one in done.items
    ]  # fmt: skip
    assert (entry.subject, entry.who, entry.body["by_order"]) == ("retention", done.who, False)
    assert "landed_days 730" in entry.body["why"]
    assert city.ledger.verify() > 0
    assert [city.archive.is_pruned(one) for one in deliveries] == [True, True, False]
    assert prune(city) == ()
    assert len(list(city.ledger.entries(what="pruned"))) == 1


@pytest.mark.usefixtures("in_future", "deliveries")
def test_a_pruned_city_still_proves_its_releases_and_goes_on(
    town: Any, grid: list[Parcel], tmp_path: Path
) -> None:
    prune(town.city)
    built = build_packages(town.city, 2, tmp_path / "packages")
    assert verify_package(built["change"], None)["release"] == 2
    assert release(town.city, "monthly-0002") == 2
    town.deliver_parcels([*grid[:95], ("P905", 0.0, 11.0, "1")], at="2026-04-01")
    assert town.run().release == 4


@pytest.mark.usefixtures("in_future")
def test_readers_are_told_that_it_was_pruned_when_and_by_whom(
    town: Any, deliveries: list[str], tmp_path: Path
) -> None:
    (done,) = prune(town.city)
    city = town.city
    said = rf"pruned at {done.pruned_at[:19]}.* by {done.who}: retention: landed_days 730"
    readers = (
        lambda: city.archive.verify(deliveries[0]),
        lambda: city.archive.files(deliveries[0]),
        lambda: export_report(city, "1", tmp_path / "report.html", language="en"),
        lambda: cycle_changes(city, "monthly-0001"),
        lambda: check_candidate(city, "monthly-0001"),
    )
    for reader in readers:
        with pytest.raises(PrunedError, match=said):
            reader()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("in_future", "deliveries")
@pytest.mark.parametrize("part", ["candidate_days", "working_days"])
def test_a_report_without_a_part_is_refused_not_shortened(
    town: Any, tmp_path: Path, part: str
) -> None:
    path = town.root / "cityframe.yaml"
    text = path.read_text(encoding="utf-8").replace(RETENTION, f"retention: {{{part}: 1}}\n")
    path.write_text(text, encoding="utf-8")
    prune(town.city)
    with pytest.raises(PrunedError, match="stays in the cycle's folder `report`"):
        export_report(town.city, "monthly-0002", tmp_path / "report", language="zh")
    assert (town.city.cycle_folder("monthly-0002") / "report" / "report.json").exists()


@pytest.mark.usefixtures("in_future")
def test_an_open_cycle_and_the_inbox_keep_what_they_need(town: Any, grid: list[Parcel]) -> None:
    declare(town.root)
    first = town.deliver_parcels(grid, at="2026-01-01").delivery.id
    town.run()
    second = town.deliver_parcels(grid[:99], at="2026-02-01").delivery.id
    assert town.run(approve=False).state == "in-review"
    third = town.deliver_parcels(grid[:98], at="2026-03-01").delivery.id
    town.deliver_parcels(grid[:97], at="2026-04-01")
    (done,) = prune(town.city)
    assert {one.delivery for one in done.items if one.part is Part.LANDED} == {first}
    assert {one.cycle for one in done.items if one.part is not Part.LANDED} == {"monthly-0001"}
    for one, needed_by in ((second, "cycle monthly-0002"), (third, "the next cycle of monthly")):
        with pytest.raises(GateClosedError, match=f"{needed_by} needs it"):
            prune_deliveries(town.city, [one], who="li", why="ordered")
        town.city.archive.verify(one)
    assert town.run().release == 2
    assert town.run().release == 3


@pytest.mark.usefixtures("in_future", "deliveries")
def test_a_second_series_keeps_what_it_has_not_taken_yet(town: Any) -> None:
    path = town.root / "cycles" / "yearly.yaml"
    series = (town.root / "cycles" / "monthly.yaml").read_text(encoding="utf-8")
    path.write_text(series.replace("name: monthly", "name: yearly"), encoding="utf-8")
    (done,) = prune(town.city)
    assert Part.LANDED not in {one.part for one in done.items}


@pytest.mark.usefixtures("in_future")
def test_returned_and_abandoned_cycles_have_ended_too(town: Any, grid: list[Parcel]) -> None:
    declare(town.root)
    town.deliver_parcels(grid, at="2026-01-01")
    town.run(approve=False)
    send_back(town.city, "monthly-0001", who="li", why="not this")
    town.deliver_parcels(grid[:99], at="2026-02-01")
    assert town.run().release == 1
    town.deliver_addresses([("A1", 500010.0, 3400010.0, "x")], at="2026-02-02")
    town.run()
    town.deliver_addresses([("A1", 500010.0, 3400010.0, "x")], at="2026-02-03")
    town.deliver_parcels(list(reversed(grid[:99])), at="2026-02-04")
    assert town.run().state == "abandoned"
    (done,) = prune(town.city)
    assert {one.cycle for one in done.items} - {""} >= {"monthly-0001", "monthly-0003"}


@pytest.mark.usefixtures("in_future")
def test_bytes_that_come_again_after_they_were_pruned_are_taken_in(
    town: Any, deliveries: list[str], grid: list[Parcel]
) -> None:
    feed = town.city.archive.files(deliveries[0])
    kept = town.root / "kept.gpkg"
    shutil.copyfile(next(path for path in feed.rglob("*.gpkg")), kept)
    prune(town.city)
    shutil.copyfile(kept, town.root / "feeds" / "parcels.gpkg")
    again = pull(town.city, "cadastre", at=town.moment("2026-05-01"))
    assert (again.delivery.id, again.is_new) == (deliveries[0], True)
    town.city.archive.verify(deliveries[0])
    assert town.run().release == 4
    assert read_plan(town.city, "monthly-0004").deliveries == (deliveries[0],)


def test_a_moment_to_come_is_refused(town: Any, deliveries: list[str]) -> None:
    with pytest.raises(DeclarationError, match="is to come"):
        prune(town.city, at=later(1))
    assert not town.city.archive.is_pruned(deliveries[0])


@pytest.mark.usefixtures("in_future")
def test_ages_count_at_the_moment_given(town: Any, deliveries: list[str]) -> None:
    (done,) = prune(town.city, at=later(91))
    assert {one.part for one in done.items} == {Part.WORKING}
    assert not town.city.archive.is_pruned(deliveries[0])


@pytest.mark.usefixtures("in_future", "deliveries")
@pytest.mark.parametrize("name", ["monthly", "pull-cadastre"])
def test_it_waits_its_turn(town: Any, name: str) -> None:
    store = town.city.workspace.store
    before = contents(store)
    with (store / "cycles" / f".{name}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SourceUnreachableError, match="another process"):
            prune(town.city)
        assert contents(store) == before
    assert len(prune(town.city)) == 1


def test_by_order_named_deliveries_go_with_what_holds_the_same_data(
    town: Any, deliveries: list[str]
) -> None:
    city = town.city
    done = prune_deliveries(city, [deliveries[1]], who="li", why="order 7")
    assert what(done.items) == {
        ("landed", "", deliveries[1]),
        ("working", "monthly-0002", deliveries[1]),
        ("candidate", "monthly-0002", ""),
    }
    assert [city.archive.is_pruned(one) for one in deliveries] == [False, True, False]
    note = city.archive.pruned(deliveries[1])
    assert note is not None
    assert (note.who, note.why, note.by_order) == ("li", "order 7", True)
    (entry,) = city.ledger.entries(what="pruned")
    assert (entry.who, entry.body["why"], entry.body["by_order"]) == ("li", "order 7", True)


def test_bytes_pruned_by_order_do_not_come_back(town: Any, deliveries: list[str]) -> None:
    prune_deliveries(town.city, [deliveries[2]], who="li", why="order 7")
    with pytest.raises(QuarantinedError, match=r"pruned at .* by li: order 7"):
        pull(town.city, "cadastre", at=town.moment("2026-05-01"))
    assert town.city.archive.is_pruned(deliveries[2])
    assert open_cycle(town.city, "monthly") is None


@pytest.mark.usefixtures("in_future")
def test_an_order_bars_what_was_pruned_for_its_age(town: Any, deliveries: list[str]) -> None:
    prune(town.city)
    done = prune_deliveries(town.city, [deliveries[0]], who="li", why="order 7")
    assert [(one.part, one.bytes) for one in done.items] == [(Part.LANDED, 0)]
    note = town.city.archive.pruned(deliveries[0])
    assert note is not None
    assert note.by_order


@pytest.mark.parametrize(
    ("who", "why", "said"), [("wang", "order 7", "approves no cycle"), ("li", " ", "no reason")]
)
def test_an_order_needs_an_approver_and_a_reason(
    town: Any, deliveries: list[str], who: str, why: str, said: str
) -> None:
    with pytest.raises(GateClosedError, match=said):
        prune_deliveries(town.city, deliveries[:1], who=who, why=why)
    town.city.archive.verify(deliveries[0])


def test_an_order_over_an_unknown_delivery_removes_nothing(
    town: Any, deliveries: list[str]
) -> None:
    with pytest.raises(DeclarationError, match="no delivery"):
        prune_deliveries(
            town.city, [deliveries[0], "cadastre.0123456789abcdef"], who="li", why="order 7"
        )
    town.city.archive.verify(deliveries[0])


@pytest.mark.usefixtures("in_future")
def test_a_killed_prune_leaves_alone_what_landed_again_since(
    town: Any, deliveries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(town.city.archive.files(deliveries[0]), town.root / "kept")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            prune(town.city)
    begun = unfinished(town.city)
    assert begun is not None
    again = pull(town.city, "cadastre", place=str(town.root / "kept"), at=town.moment("2026-05-01"))
    assert again.delivery is not None
    assert (again.delivery.id, again.is_new) == (deliveries[0], True)
    completed = prune(town.city)[0]
    assert what(completed.items) == what(begun.items) - {("landed", "", deliveries[0])}
    assert completed.pruned_at == begun.pruned_at
    town.city.archive.verify(deliveries[0])
    assert town.run().release == 4


KILLING = """
import datetime as dt, os, shutil, signal, sys
from pathlib import Path
from cityframe.pipeline import retention
from cityframe.pipeline.city import open_city
from cityframe.store.ledger import Ledger

future = dt.datetime.now(dt.UTC) + dt.timedelta(days=1000)
retention.now = lambda: future
left = 0

def mortal(step):
    def run(*arguments, **named):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return step(*arguments, **named)
    return run

for owner, name in ((os, "unlink"), (os, "rename"), (os, "replace"), (shutil, "rmtree"),
                    (Ledger, "append")):
    setattr(owner, name, mortal(getattr(owner, name)))
steps = 0
while True:
    left = 1_000_000
    root = Path(sys.argv[2]) / f"killed-{steps:03d}"
    shutil.copytree(sys.argv[1], root, ignore=shutil.ignore_patterns("packages", "report", "feeds"))
    child = os.fork()
    if child == 0:
        left = steps
        retention.prune(open_city(root))
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    steps += 1
print(steps)
"""


def test_a_prune_killed_before_any_step_is_completed_by_the_next(
    town: Any,
    deliveries: list[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roots = tmp_path_factory.mktemp("killed")
    ended = subprocess.run(
        [sys.executable, "-c", KILLING, str(town.root), str(roots)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(ended.stdout) > 30
    monkeypatch.setattr(retention, "now", lambda: later(1000))
    expected = due(town.city, later(1000))
    prune(town.city)
    untouched = ("packages/", "report/")
    whole = {
        name
        for name in contents(town.city.workspace.store)
        if not any(one in name for one in untouched)
    }
    for root in sorted(roots.iterdir()):
        city = open_city(root)
        for one in deliveries:
            if not city.archive.is_pruned(one):
                city.archive.verify(one)
        prune(city)
        (entry,) = city.ledger.entries(what="pruned")
        assert {(one["part"], one["cycle"], one["delivery"]) for one in entry.body["items"]} == (
            what(expected)
        )
        assert contents(city.workspace.store).keys() == whole
        assert unfinished(city) is None
