"""Which waivers stand, which are void and why."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from cityframe.errors import GateClosedError
from cityframe.model.cycle import CycleState
from cityframe.model.waiver import Waiver, WaiverScope
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import ENDED, PLAN_FILE, cycle_state, cycles_of
from cityframe.pipeline.staging import CHECK_FILE, check_results
from cityframe.pipeline.waivers import waiver_book, waivers, withdrawals
from cityframe.rules.checking.waiving import VoidReason, WaiverBook

STANDING, EXPIRED, VOID, WITHDRAWN = "standing", "expired", "void", "withdrawn"


@dataclass(frozen=True, slots=True)
class WaiverStatus:
    """A waiver as it is now.

    Attributes
    ----------
    status : str
        ``standing``, ``expired``, ``void`` or ``withdrawn``.
    why : str
        What made it void, or who withdrew it and why; empty while it stands.
    """

    waiver: Waiver
    status: str
    why: str


def waivers_in_effect(city: City, cycle: str, at: dt.datetime) -> tuple[Waiver, ...]:
    """Return the waivers that let something into a cycle's candidate, as they stand at a moment.

    One that has expired or was withdrawn since the check counts if a later one of the same finding
    and the same features stands in its place.

    Raises
    ------
    GateClosedError
        If one does not stand any more; with the finding.
    """
    book, found = waiver_book(city, cycle, at), dict[str, Waiver]()
    known = {one.id: one for one in book.waivers}
    for name in _counted(city, cycle):
        reason = book.void_reason(known[name])
        one = known[name] if reason is None else _successor(book, known[name])
        if one is None:
            raise GateClosedError(
                where=f"cycle {cycle}",
                found=f"waiver {name} of finding {known[name].finding_id} is {reason}",
                expected="waivers that still stand when the candidate is approved",
                remedy="waive the finding anew, or return the cycle",
            )
        found[one.id] = one
    return tuple(found[name] for name in known if name in found)


def _counted(city: City, cycle: str) -> set[str]:
    """Return the waivers that the check and the deliveries that came in counted on."""
    names = set(check_results(city, cycle).waivers)
    for account in accounts(city, cycle):
        if not account.quarantine_reasons:
            names |= set(account.waivers)
    return names


def _successor(book: WaiverBook, waiver: Waiver) -> Waiver | None:
    for one in book.of(waiver.rule, waiver.layer):
        says_the_same = (one.finding_id, one.rule_version, dict(one.features)) == (
            waiver.finding_id, waiver.rule_version, dict(waiver.features),
        )  # fmt: skip
        if says_the_same and book.void_reason(one) is None:
            return one
    return None


def waiver_statuses(city: City, at: dt.datetime) -> Iterator[WaiverStatus]:
    """Yield all waivers with what they are at a moment, oldest first.

    What the data made void is told as the last check of each series saw it.
    """
    taken_back, void = withdrawals(city), _void_at_last_checks(city)
    for waiver in waivers(city):
        entry = taken_back.get(waiver.id)
        reason = waiver_book(city, waiver.cycle, at).void_reason(waiver)
        if entry is not None:
            yield WaiverStatus(waiver, WITHDRAWN, f"{entry.who}: {entry.body['why']}")
        elif reason is VoidReason.EXPIRED:
            yield WaiverStatus(waiver, EXPIRED, "")
        elif waiver.scope is WaiverScope.CYCLE and cycle_state(city, waiver.cycle) in ENDED:
            yield WaiverStatus(waiver, VOID, f"{waiver.cycle} has ended")
        elif waiver.id in void:
            yield WaiverStatus(waiver, VOID, void[waiver.id])
        else:
            yield WaiverStatus(waiver, STANDING, "")


def _void_at_last_checks(city: City) -> dict[str, str]:
    """Return the waivers that the newest check of a series found void, and why."""
    void: dict[str, str] = {}
    for series in city.workspace.series:
        opened = cycles_of(city, series)
        for cycle in [entry.subject for entry in opened[-1:]]:
            for account in accounts(city, cycle) if _is_planned(city, cycle) else ():
                void |= {name: f"{why} ({cycle})" for name, why in account.void_waivers.items()}
            if _is_checked(city, cycle):
                found = check_results(city, cycle).void_waivers
                void |= {name: f"{why} ({cycle})" for name, why in found.items()}
    return void


def _is_planned(city: City, cycle: str) -> bool:
    return (city.cycle_folder(cycle) / PLAN_FILE).exists()


def _is_checked(city: City, cycle: str) -> bool:
    is_past = cycle_state(city, cycle) is not CycleState.FROZEN
    return is_past and (city.cycle_folder(cycle) / "candidate" / CHECK_FILE).exists()
