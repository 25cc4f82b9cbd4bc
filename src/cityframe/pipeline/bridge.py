"""Run the MQTT bridge of a source."""

from collections.abc import Callable

from cityframe.connectors.bridge import BridgeSummary, run_bridge
from cityframe.pipeline.city import City


def bridge(
    city: City,
    source_name: str,
    *,
    stop: Callable[[], bool],
    idle_s: float | None = None,
    max_messages: int | None = None,
) -> BridgeSummary:
    """Write a source's observations until it is stopped, idle, or has had enough messages.

    Raises
    ------
    DeclarationError
        If the source is not declared or is no MQTT source.
    SourceUnreachableError
        If the broker does not answer.
    """
    return run_bridge(
        city.workspace.source(source_name),
        city.observations(source_name),
        stop=stop,
        idle_s=idle_s,
        max_messages=max_messages,
    )
