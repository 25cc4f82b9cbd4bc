"""Pull a source: land one delivery."""

import datetime as dt
from dataclasses import dataclass

from cityframe.connectors import pull as pull_bytes
from cityframe.model.delivery import Delivery
from cityframe.pipeline.city import City, now, operator


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
        Why nothing new was landed; empty otherwise.
    """

    delivery: Delivery | None
    is_new: bool
    reason: str


def pull(
    city: City, source_name: str, *, place: str | None = None, at: dt.datetime | None = None
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

    Returns
    -------
    PullOutcome
        The same bytes as the source's newest delivery are the same delivery and not new.

    Raises
    ------
    SourceUnreachableError
        If the source does not answer.
    DeclarationError
        If there is no such source or place.
    """
    source = city.workspace.source(source_name)
    newest = city.ledger.last(what="landed", subject=source_name)
    watermark = str(newest.body["watermark"]) if newest else ""
    landed_at = now()
    with city.archive.receiving(source_name) as folder:
        pulled = pull_bytes(
            source,
            workspace_root=city.workspace.root,
            into=folder,
            place=place,
            watermark=watermark,
            observations=city.observations(source_name),
        )
        if pulled is None:
            return PullOutcome(None, is_new=False, reason=f"nothing above {watermark or 'empty'}")
        delivery, _ = city.archive.land(
            folder,
            source=source_name,
            origin=pulled.origin,
            observed_at=at or pulled.observed_at or landed_at,
            landed_at=landed_at,
            watermark=pulled.watermark,
        )
    if newest is not None and newest.body["delivery"] == delivery.id:
        return PullOutcome(delivery, is_new=False, reason="the same bytes as the newest delivery")
    city.ledger.append(
        "landed",
        source_name,
        {
            "delivery": delivery.id,
            "observed_at": delivery.observed_at,
            "origin": delivery.origin,
            "watermark": delivery.watermark,
        },
        who=operator(),
        at=landed_at,
    )
    return PullOutcome(delivery, is_new=True, reason="")
