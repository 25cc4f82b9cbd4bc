"""Pull a source: land one delivery."""

import datetime as dt
from dataclasses import dataclass

from cityframe.config.source import Source
from cityframe.connectors import pull as pull_bytes
from cityframe.model.delivery import Delivery
from cityframe.pipeline.city import City, now, operator
from cityframe.pipeline.set_aside import is_answered_since, is_set_aside
from cityframe.pipeline.turns import turn_of


@dataclass(frozen=True, slots=True)
class PullOutcome:
    """What a pull came to.

    Attributes
    ----------
    delivery : Delivery or None
        None when the source had nothing new.
    is_new : bool
        Whether the source's content differs from its newest delivery.
    reason : str
        Why nothing new was landed, or why known bytes were landed again; else empty.
    """

    delivery: Delivery | None
    is_new: bool
    reason: str


def pull(
    city: City,
    source_name: str,
    *,
    place: str | None = None,
    at: dt.datetime | None = None,
    base: int | None = None,
) -> PullOutcome:
    """Land a delivery of a source and note it in the ledger.

    Parameters
    ----------
    city : City
        The city.
    source_name : str
        A declared source.
    place : str, optional
        Where to pull from instead of the declared place.
    at : datetime, optional
        When the content was so in the world; by default what the source says, else now.
    base : int, optional
        The release that the source worked from; by default what its declaration says (``base:``).

    Returns
    -------
    PullOutcome
        The same bytes as the source's newest delivery are the same delivery and not new, unless
        that one was quarantined or returned, another base is named now, or a question about it was
        answered since: it is then landed again for the next cycle.

    Raises
    ------
    SourceUnreachableError
        If the source does not answer.
    DeclarationError
        If there is no such source, place or release.
    """
    if base is not None:
        city.framework.release(base)
    with turn_of(city, f"pull-{source_name}"):
        return _pull(city, city.workspace.source(source_name), place, at, base)


def _pull(
    city: City, source: Source, place: str | None, at: dt.datetime | None, base: int | None
) -> PullOutcome:
    landed = list(city.ledger.entries(what="landed", subject=source.name))
    kept = [entry for entry in landed if not is_set_aside(city, entry)]
    # what was set aside must come again: go on from what came in
    watermark = str(kept[-1].body["watermark"]) if kept else ""
    landed_at = now()
    with city.archive.receiving(source.name) as folder:
        pulled = pull_bytes(
            source,
            workspace_root=city.workspace.root,
            into=folder,
            place=place,
            watermark=watermark,
            observations=city.observations(source.name),
        )
        if pulled is None:
            return PullOutcome(None, is_new=False, reason=f"nothing above {watermark or 'empty'}")
        observed_at = at or pulled.observed_at or landed_at
        delivery, _ = city.archive.land(
            folder,
            source=source.name,
            origin=pulled.origin,
            observed_at=observed_at,
            landed_at=landed_at,
            watermark=pulled.watermark,
        )
    is_same = bool(landed) and landed[-1].body["delivery"] == delivery.id
    is_rebased = is_same and base is not None and landed[-1].body.get("base") != base
    is_answered = is_same and is_answered_since(city, landed[-1])
    if is_same and landed[-1] in kept and not is_rebased and not is_answered:
        return PullOutcome(delivery, is_new=False, reason="the same bytes as the newest delivery")
    city.ledger.append(
        "landed",
        source.name,
        {
            "delivery": delivery.id,
            "observed_at": observed_at.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "origin": pulled.origin,
            "watermark": pulled.watermark,
            "base": _base(city, source, observed_at) if base is None else base,
        },
        who=operator(),
        at=landed_at,
    )
    reason = ""
    if is_same:
        why = "it was quarantined or returned"
        if is_rebased:
            why = "another base is named"
        elif is_answered:
            why = "a question about it was answered"
        reason = f"landed again, for {why}"
    return PullOutcome(delivery, is_new=True, reason=reason)


def _base(city: City, source: Source, observed_at: dt.datetime) -> int | None:
    """Return the release that a source worked from by its declaration; None where none is known."""
    if source.base != "observed":
        return None
    numbers = [
        one.number
        for one in city.framework.releases()
        if dt.datetime.fromisoformat(one.created_at) <= observed_at
    ]
    return max(numbers, default=None)
