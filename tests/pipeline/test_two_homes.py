"""The same releases in two homes: the same digests, and packages of the same bytes."""

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
import shapely

from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.pipeline.city import City, open_city
from cityframe.pipeline.publishing import build_packages, verify_package
from cityframe.pipeline.recalling import recall, recalls
from cityframe.pipeline.releasing import roll_back
from cityframe.products.signature import (
    PublicKey,
    SignedStatement,
    SigningKey,
    TrustStore,
    public_path,
)
from cityframe.store.candidate import read_candidate
from cityframe.store.commit import commit
from cityframe.store.framework import open_framework

Parcel = tuple[str, float, float, str | None]
NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


@pytest.fixture
def signed_town(town: Any, tmp_path: Path, grid: list[Parcel]) -> Any:
    """A town with a signing key and two releases."""
    SigningKey.create(tmp_path / "key.pem", name="bureau", at=NOW)
    path = town.root / "cityframe.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "signing_key: key.pem\n", encoding="utf-8")
    town.deliver_parcels(grid)
    town.run()
    town.deliver_parcels(
        [("P000", 0, 0, "2"), *grid[1:99], ("P900", 3, 11, "1")],
        at="2026-02-01",
        P007=shapely.box(500140, 3400000, 500155, 3400015),
    )
    town.run()
    return town


def in_postgis(city: City, url: str, root: Path) -> City:
    """Commit a city's releases again, into PostGIS."""
    framework = open_framework(root, f"{url}?schema=s{uuid.uuid4().hex}")
    for made in city.framework.releases():
        evidence = dict(made.evidence)
        evidence.pop("candidate_digest")
        commit(
            framework,
            read_candidate(city.cycle_folder(made.cycle) / "candidate"),
            city.workspace.layers,
            kind=made.kind,
            cycle=made.cycle,
            evidence=evidence,
            at=dt.datetime.fromisoformat(made.created_at),
        )
    other = open_city(city.workspace.root)
    object.__setattr__(other, "framework", framework)
    return other


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_homes_give_the_same_releases_and_packages_of_the_same_bytes(
    signed_town: Any, postgis_url: str, tmp_path: Path
) -> None:
    here = signed_town.city
    there = in_postgis(here, postgis_url, tmp_path)
    assert there.framework.releases() == here.framework.releases()
    built = [build_packages(city, 2, tmp_path / name) for city, name in ((here, "a"), (there, "b"))]
    for kind in ("full", "change"):
        assert contents(built[0][kind]) == contents(built[1][kind])
    published = here.package_folder(2, "change")
    assert contents(published) == contents(built[1]["change"])


def test_a_package_is_verified_with_the_publishers_key_and_no_other(
    signed_town: Any, tmp_path: Path
) -> None:
    folder = signed_town.city.package_folder(2, "change")
    base = signed_town.city.package_folder(1, "full")
    trust = TrustStore().trust(PublicKey.read(public_path(tmp_path / "key.pem")), at=NOW)
    assert "full(2) = apply(change(2), full(1))" in verify_package(folder, base, trust)["proved"]
    SigningKey.create(tmp_path / "other.pem", name="other", at=NOW)
    stranger = TrustStore().trust(PublicKey.read(public_path(tmp_path / "other.pem")), at=NOW)
    with pytest.raises(IntegrityError):
        verify_package(folder, base, stranger)


def test_a_recall_needs_an_approver_and_stands_in_the_releases_after_it(
    signed_town: Any, grid: list[Parcel]
) -> None:
    city = signed_town.city
    said = {"why": "wrong datum", "replaced_by": None, "at": NOW}
    with pytest.raises(GateClosedError, match="li"):
        recall(city, 2, who="nobody", **said)
    recall(city, 2, who="li", **said)
    with pytest.raises(DeclarationError, match="recalled before"):
        recall(city, 2, who="li", **said)
    signed_town.deliver_parcels(grid, at="2026-03-01")
    made = signed_town.run().release
    evidence = city.framework.release(made).evidence
    digest = city.framework.release(2).digest
    assert evidence["recalls"] == [{"release": 2, "digest": digest}]


def test_a_recall_that_was_killed_before_its_entry_is_made_again(signed_town: Any) -> None:
    city = signed_town.city
    said: dict[str, Any] = {"who": "li", "replaced_by": None, "at": NOW}
    with pytest.raises(DeclarationError, match="printable"):
        recall(city, 2, why="wrong\ndatum", **said)
    left = city.workspace.store / "recalls" / "recall-0002.json"
    left.parent.mkdir(parents=True)
    left.write_text("signed, but nobody was told", encoding="utf-8")
    assert recall(city, 2, why="wrong datum", **said) == left
    assert SignedStatement.read(left).statement["reason"] == "wrong datum"
    assert recalls(city) == [{"release": 2, "digest": city.framework.release(2).digest}]


@pytest.mark.parametrize(("who", "why"), [("nobody", "mistake"), ("li", " ")])
def test_a_roll_back_needs_an_approver_and_a_reason(signed_town: Any, who: str, why: str) -> None:
    with pytest.raises(GateClosedError):
        roll_back(signed_town.city, 1, who=who, why=why, at=NOW)
    assert len(signed_town.city.framework.releases()) == 2
