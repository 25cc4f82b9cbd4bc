"""Check a city's store: framework, ledger, evidence, candidates, reports, landed bytes."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from cityframe.errors import CityframeError, IntegrityError, PrunedError
from cityframe.model.cycle import CycleState
from cityframe.model.release import Release
from cityframe.pipeline.city import City
from cityframe.pipeline.questions import ANSWERED
from cityframe.pipeline.reporting import REPORT_FILE, report_folder
from cityframe.pipeline.waivers import WAIVED
from cityframe.store.candidate import SUMMARY_FILE, read_candidate, verify_candidate
from cityframe.store.damage import Damage
from cityframe.store.fsck import Findings, fsck
from cityframe.store.ledger import Entry

_UNREADABLE = (sa.exc.DatabaseError, IntegrityError, ValueError, KeyError, TypeError)
_DECISION = ("who", "what", "why", "candidate_digest")


def check_store(city: City, *, release: int | None = None, quick: bool = False) -> Findings:
    """Check a city's store against itself.

    Parameters
    ----------
    city : City
        The city.
    release : int, optional
        Check the rows, the state and the evidence of this release only.
    quick : bool
        Leave out the bytes of candidates and landed deliveries, and SQLite's look at its indexes.

    Returns
    -------
    Findings
        All damages, not the first only.

    Raises
    ------
    DeclarationError
        If there is no such release.
    SourceUnreachableError
        If a writer holds the store.
    """
    found = fsck(city.framework, release=release, quick=quick)
    more: list[Damage] = []
    entries: list[Entry] = []
    releases: tuple[Release, ...] = ()
    try:
        more += _ledger_damages(city)
        entries = list(city.ledger.entries())
    except _UNREADABLE as error:
        more.append(Damage(where="ledger", found=f"unreadable: {error}"))
    # what can't be read of the releases is told already
    with suppress(*_UNREADABLE):
        releases = city.framework.releases()
        if release is None:
            more += _lost_releases(city, releases, entries)
    by_cycle: dict[str, list[Entry]] = {}
    for entry in entries:
        by_cycle.setdefault(entry.subject, []).append(entry)
    for made in releases:
        if release not in (None, made.number):
            continue
        own = by_cycle.get(made.cycle, [])
        is_newest = made.number == len(releases)
        more += _released_damages(made, own, is_newest=is_newest)
        more += _evidence_damages(city, made, own)
        more += _candidate_damages(city, made, quick=quick)
        more += _given_damages(made, entries)
    if release is None:
        more += _register_damages(city)
    if not quick and release is None:
        more += _archive_damages(city)
    return replace(found, damages=(*found.damages, *dict.fromkeys(more)))


def _ledger_damages(city: City) -> Iterator[Damage]:
    for sequence in city.ledger.broken():
        yield Damage(
            where=f"ledger entry {sequence}",
            found="an entry that does not follow from the one before, or is not what it hashes",
            expected="the chain of hashes, without gaps",
        )


def _lost_releases(
    city: City, releases: Iterable[Release], entries: Iterable[Entry]
) -> Iterator[Damage]:
    """Name releases that the ledger knows and the framework lacks: a file lost, an old backup."""
    there = {made.number for made in releases}
    for entry in entries:
        number = entry.body.get("release")
        if entry.what == CycleState.RELEASED and number not in there:
            yield Damage(
                where=city.framework.label,
                release=number,
                found=f"no release {number}",
                expected=f"digest {entry.body.get('digest')}, by the ledger",
            )


def _released_damages(
    made: Release, entries: Iterable[Entry], *, is_newest: bool
) -> Iterator[Damage]:
    """Hold a release against the ledger's word that it was made."""
    # a migration that gave the release another digest keeps the one that the ledger knows
    digest = made.evidence.get("former_digest", made.digest)
    expected = {"release": made.number, "digest": digest, "kind": made.kind.value}
    said = [dict(one.body) for one in entries if one.what == CycleState.RELEASED]
    # after a crash between commit and ledger the next run adds the entry of the newest
    if said != [expected] and not (is_newest and not said):
        yield Damage(
            where=f"ledger entry {CycleState.RELEASED.value} of {made.cycle}",
            release=made.number,
            found=str(said or "none"),
            expected=str(expected),
        )


def _evidence_damages(city: City, made: Release, entries: list[Entry]) -> Iterator[Damage]:
    """Hold a release's decisions and report against the ledger and the report's file."""
    where = f"evidence of release {made.number}"
    decisions: list[dict[str, Any]] = list(made.evidence.get("decisions", []))
    for taken in decisions:
        if not any(_is_of(entry, taken) for entry in entries):
            yield Damage(
                where=where,
                release=made.number,
                found=f"decision {taken}",
                expected=f"one that the ledger has of {made.cycle}",
            )
    digest = made.evidence.get("candidate_digest")
    if digest not in {taken.get("candidate_digest") for taken in decisions}:
        yield Damage(
            where=where,
            release=made.number,
            found=f"no decision over candidate {digest}",
            expected="one by somebody who approves",
        )
    report = made.evidence.get("report_digest")
    if report is None:
        return
    approved = [one.body.get("report_digest") for one in entries if one.what == CycleState.APPROVED]
    if approved and report != approved[-1]:
        yield Damage(
            where=where,
            release=made.number,
            found=f"report_digest {report}",
            expected=f"{approved[-1]}, over which the ledger says it was approved",
        )
    path = report_folder(city, made.cycle) / REPORT_FILE
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != report:
        yield Damage(
            where=str(path),
            release=made.number,
            found="another report",
            expected=f"SHA-256 {report}, by evidence",
        )


def _given_damages(made: Release, entries: Iterable[Entry]) -> Iterator[Damage]:
    """Hold the waivers and answers that a release names against the ledger."""
    said = {one.subject: dict(one.body) for one in entries if one.what in (WAIVED, ANSWERED)}
    for name, listed in (("waiver", "waivers"), ("answer", "answers")):
        for given in made.evidence.get(listed, []):
            if said.get(given["id"]) != given:
                yield Damage(
                    where=f"evidence of release {made.number}",
                    release=made.number,
                    found=f"{name} {given}",
                    expected=f"{said.get(given['id'], 'one that the ledger has')}",
                )


def _register_damages(city: City) -> Iterator[Damage]:
    """Read the register of findings."""
    for cycle in city.findings.cycles():
        yield from _told(partial(city.findings.events, cycle), where=f"findings of {cycle}")


def _is_of(entry: Entry, taken: dict[str, Any]) -> bool:
    said = {**entry.body, "who": entry.who, "what": entry.what}
    return _moment(entry.at) == _moment(taken.get("when")) and all(
        said.get(name) == taken.get(name) for name in _DECISION
    )


def _moment(text: object) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(str(text)).replace(microsecond=0)
    except ValueError:
        return None


def _candidate_damages(city: City, made: Release, *, quick: bool) -> Iterator[Damage]:
    """Hold a candidate that is still there against the digest that was decided over."""
    folder = city.cycle_folder(made.cycle) / "candidate"
    # those of the first layout are GeoPackages, whose digests are those of their time
    if not (folder / SUMMARY_FILE).exists() or (folder / "candidate.gpkg").exists():
        return

    def check() -> None:
        candidate = read_candidate(folder)
        if candidate.digest != made.evidence.get("candidate_digest"):
            raise IntegrityError(
                where=str(folder),
                found=f"candidate {candidate.digest}",
                expected=f"{made.evidence.get('candidate_digest')}, by evidence",
            )
        if not quick:
            verify_candidate(candidate)

    yield from _told(check, where=str(folder), release=made.number)


def _archive_damages(city: City) -> Iterator[Damage]:
    """Read all landed bytes again that were not pruned."""
    root = city.archive.root
    for manifest in sorted(root.glob("[a-z]*/*.*/manifest.json")):
        delivery = manifest.parent.name
        yield from _told(partial(city.archive.verify, delivery), where=str(manifest.parent))


def _told(
    check: Callable[[], object], *, where: str, release: int | None = None
) -> Iterator[Damage]:
    """Run a check and yield what it raises as damage; what was pruned is none."""
    try:
        check()
    except PrunedError:
        return
    except CityframeError as error:
        yield Damage(where=error.where, found=error.found, expected=error.expected, release=release)
    except _UNREADABLE as error:
        yield Damage(where=where, found=f"a file that can't be read: {error}", release=release)
