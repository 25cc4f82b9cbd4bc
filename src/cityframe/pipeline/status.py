"""How far each series' cycle is, what has landed for the next, what is late."""

from dataclasses import dataclass

from cityframe.model.cycle import CycleState
from cityframe.pipeline.city import City, now
from cityframe.pipeline.plan import cycle_state, cycles_of, inbox, stale_sources


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """One cycle of a series.

    Attributes
    ----------
    cycle : str or None
        None for the one that is still collecting.
    landed : int
        Deliveries: taken in by the cycle, or waiting in the inbox for the next.
    stale_sources : tuple of str
        Sources behind their currency promise, then or now.
    """

    series: str
    cycle: str | None
    state: str
    release: int | None
    landed: int
    stale_sources: tuple[str, ...]


def cycle_status(city: City, series_name: str | None = None) -> list[SeriesStatus]:
    """Return the cycles of one or all series, oldest first, then the one that is collecting."""
    if series_name is not None:
        city.workspace.cycle_series(series_name)
    found: list[SeriesStatus] = []
    for name, series in city.workspace.series.items():
        if series_name not in (None, name):
            continue
        opened = cycles_of(city, name)
        for entry in opened:
            made = city.framework.released_by(entry.subject)
            found.append(
                SeriesStatus(
                    series=name,
                    cycle=entry.subject,
                    state=cycle_state(city, entry.subject).value,
                    release=made.number if made else None,
                    landed=len(entry.body["plan"]["deliveries"]),
                    stale_sources=tuple(entry.body["plan"]["stale_sources"]),
                )
            )
        through = opened[-1].body["through"] if opened else {}
        waiting = len(inbox(city, series, through))
        found.append(
            SeriesStatus(
                series=name,
                cycle=None,
                state=(CycleState.COLLECTING if waiting else CycleState.PLANNED).value,
                release=None,
                landed=waiting,
                stale_sources=stale_sources(city, series, now()),
            )
        )
    return found
