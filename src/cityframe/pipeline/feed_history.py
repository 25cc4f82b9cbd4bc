"""What the former deliveries of a feed did, and what they lacked: from their accounts.

Only deliveries count that stood: those of cycles that were released, or that ended because nothing
changed; not quarantined ones, nor those of returned cycles. What is read here is never pruned.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import ACCOUNT_FILE, Account, delivery_folder, read_account
from cityframe.pipeline.city import City, replaced_whole
from cityframe.pipeline.plan import cycle_state, read_plan, source_of
from cityframe.reconcile.former_deliveries import FeedEffect

HISTORY = 12
"""How many former deliveries tell what is usual: a year of a monthly feed."""
_STOOD = frozenset({CycleState.RELEASED, CycleState.PUBLISHED, CycleState.ABANDONED})


def feed_effects(city: City, cycle: str, delivery: str, feed: str) -> tuple[FeedEffect, ...]:
    """Return what the former deliveries of a feed did to its layer, the newest first.

    Parameters
    ----------
    cycle, delivery : str
        The delivery that is taken in, and the cycle that does so.
    feed : str
        Name of the feed in accounts, as ``00-parcels``.

    Returns
    -------
    tuple of FeedEffect
        At most `HISTORY`; those of this cycle, which may be returned yet, are not among them.
    """
    found: list[FeedEffect] = []
    for _, account in _former(city, cycle, source_of(delivery)):
        if feed in account.effects and account.delivery != delivery:
            found.append(account.effects[feed])
        if len(found) == HISTORY:
            break
    return tuple(found)


def absences(city: City, cycle: str, delivery: str, feed: str) -> Mapping[str, int]:
    """Return from how many full deliveries in a row features of a feed are absent, by uid.

    The same bytes delivered again are no further delivery: then it is as it was before them.

    Parameters
    ----------
    cycle, delivery, feed : str
        As of `feed_effects`. Deliveries that the same cycle took in before count.
    """
    source = source_of(delivery)
    for folder, account in (*_earlier(city, cycle, delivery), *_former(city, cycle, source)):
        path = _absence_file(folder, feed)
        if account.delivery != delivery and path.exists():
            found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
            return found
    return {}


def write_absences(folder: Path, feed: str, times: Mapping[str, int]) -> None:
    """Leave what a full delivery lacks and the framework keeps, in the delivery's folder.

    It is no table, so that pruning leaves it: a feed that delivers once in years counts too.
    """
    with replaced_whole(_absence_file(folder, feed)) as temporary:
        temporary.write_text(json.dumps(dict(sorted(times.items()))), encoding="utf-8")


def _absence_file(folder: Path, feed: str) -> Path:
    return folder / f"{feed}.absent.json"


def _earlier(city: City, cycle: str, delivery: str) -> Iterator[tuple[Path, Account]]:
    """Yield what the cycle took in of the source before a delivery, the newest first."""
    own = read_plan(city, cycle).deliveries_of(source_of(delivery))
    yield from _taken_in(city, cycle, list(own[: own.index(delivery)]))


def _former(city: City, cycle: str, source: str) -> Iterator[tuple[Path, Account]]:
    """Yield what former cycles took in of a source, the newest first."""
    frozen = {entry.subject: entry for entry in city.ledger.entries(what=CycleState.FROZEN)}
    for entry in reversed(frozen.values()):
        planned = [one for one in entry.body["plan"]["deliveries"] if source_of(one) == source]
        if entry.subject == cycle or not planned:
            continue
        if cycle_state(city, entry.subject) in _STOOD:
            yield from _taken_in(city, entry.subject, planned)


def _taken_in(city: City, cycle: str, deliveries: list[str]) -> Iterator[tuple[Path, Account]]:
    for one in reversed(deliveries):
        folder = delivery_folder(city, cycle, one)
        if (folder / ACCOUNT_FILE).exists():
            account = read_account(folder / ACCOUNT_FILE)
            if not account.quarantine_reasons:
                yield folder, account
