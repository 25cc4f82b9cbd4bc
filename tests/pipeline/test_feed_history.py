"""Which former deliveries count for what is usual, and for what is absent."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import ACCOUNT_FILE, Account, delivery_folder, write_account
from cityframe.pipeline.feed_history import HISTORY, absences, feed_effects, write_absences
from cityframe.pipeline.plan import PLAN_FILE, Plan
from cityframe.reconcile.former_deliveries import FeedEffect

FEED, NOW = "00-parcels", "monthly-0099"


class History:
    """Cycles with accounts and nothing else."""

    def __init__(self, town: Any) -> None:
        self.city, self.at, self.number = town.city, town.moment("2026-01-01"), 0

    def cycle(
        self,
        deliveries: Sequence[str],
        state: CycleState = CycleState.PUBLISHED,
        *,
        name: str = "",
        absent: dict[str, int] | None = None,
        quarantined: bool = False,
    ) -> None:
        """Add a cycle; its deliveries change as many parcels as the cycle's number."""
        self.number += 1
        cycle = name or f"monthly-{self.number:04d}"
        plan = Plan(cycle, "monthly", "", 0, tuple(deliveries), {}, (), "")
        body = {"through": {}, "number": self.number, "plan": asdict(plan)}
        self.city.ledger.append(CycleState.FROZEN, cycle, body, who="li", at=self.at)
        if state is not CycleState.FROZEN:
            self.city.ledger.append(state, cycle, {}, who="li", at=self.at)
        folder = self.city.cycle_folder(cycle)
        folder.mkdir(parents=True)
        (folder / PLAN_FILE).write_text(json.dumps(asdict(plan)), encoding="utf-8")
        for one in deliveries:
            effect = FeedEffect(100, {"removed": self.number})
            reasons = ("set aside",) if quarantined else ()
            where = delivery_folder(self.city, cycle, one)
            write_account(
                where / ACCOUNT_FILE,
                Account(one, (), (), reasons, (FEED,), effects={FEED: effect}),
            )
            if absent is not None:
                write_absences(where, FEED, absent)

    def effects(self, delivery: str = "cadastre.9") -> list[int]:
        found = feed_effects(self.city, NOW, delivery, FEED)
        return [one.changes["removed"] for one in found]

    def absent(self, delivery: str = "cadastre.9") -> dict[str, int]:
        return dict(absences(self.city, NOW, delivery, FEED))


@pytest.fixture
def history(town: Any) -> History:
    return History(town)


def test_what_stood_counts_the_newest_first(history: History) -> None:
    history.cycle(["cadastre.1"])
    history.cycle(["cadastre.2"], CycleState.RETURNED)
    history.cycle(["cadastre.3"], CycleState.ABANDONED)
    history.cycle(["registry.1"])
    history.cycle(["cadastre.4"], quarantined=True)
    history.cycle(["cadastre.5"], CycleState.IN_REVIEW)
    history.cycle(["cadastre.6"])
    history.cycle(["cadastre.9"], CycleState.FROZEN, name=NOW)
    assert history.effects() == [7, 3, 1]
    assert feed_effects(history.city, NOW, "cadastre.9", "01-parcels") == ()


def test_a_year_of_a_monthly_feed_is_enough(history: History) -> None:
    for number in range(1, HISTORY + 3):
        history.cycle([f"cadastre.{number}"])
    assert len(history.effects()) == HISTORY
    assert history.effects()[0] == HISTORY + 2


def test_absences_are_those_of_the_delivery_before(history: History) -> None:
    history.cycle(["cadastre.1"], absent={"U1": 1})
    history.cycle(["cadastre.2"], absent={"U1": 2, "U2": 1})
    # it could not tell what is absent; then one that nobody accepted
    history.cycle(["cadastre.3"])
    history.cycle(["cadastre.4"], CycleState.RETURNED, absent={"U1": 3})
    history.cycle(["cadastre.9"], CycleState.FROZEN, name=NOW)
    assert history.absent() == {"U1": 2, "U2": 1}


def test_the_same_bytes_again_are_no_further_delivery(history: History) -> None:
    history.cycle(["cadastre.1"], absent={"U1": 1})
    history.cycle(["cadastre.9"], absent={"U1": 2})
    history.cycle(["cadastre.9"], CycleState.FROZEN, name=NOW)
    assert history.absent() == {"U1": 1}
    assert history.effects() == [1]


def test_deliveries_of_one_cycle_follow_each_other(history: History) -> None:
    history.cycle(["cadastre.1"], absent={})
    history.cycle(
        ["cadastre.7", "registry.1", "cadastre.9"],
        CycleState.FROZEN,
        name=NOW,
        absent={"U1": 1},
    )
    assert history.absent("cadastre.7") == {}
    assert history.absent("cadastre.9") == {"U1": 1}
    # nobody knows yet whether the cycle will stand
    assert history.effects() == [1]
