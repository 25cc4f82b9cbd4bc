"""Pull a source: find its connector by the pull's type and let it fill a folder."""

import datetime as dt
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from cityframe.config.source import Source
from cityframe.errors import DeclarationError

ENTRY_POINT_GROUP = "cityframe.connectors"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull says of the bytes that it brought.

    Attributes
    ----------
    origin : str
        Where they come from, without secrets.
    watermark : str
        Highest watermark value inside, given back at the next pull; empty for none.
    observed_at : datetime or None
        When the content was so in the world, in UTC; None if the source does not say.
    """

    origin: str
    watermark: str = ""
    observed_at: dt.datetime | None = None


class Connector(Protocol):
    """A module, or anything else, that pulls sources of one type.

    It is found as an entry point of the group ``cityframe.connectors`` under the name that stands
    as ``type`` in the source's ``pull``.
    """

    def pull(
        self,
        source: Source,
        *,
        workspace_root: Path,
        into: Path,
        place: str | None,
        watermark: str,
        observations: Path,
    ) -> Pulled | None:
        """Copy the source's present content into a folder; parse nothing.

        Parameters
        ----------
        workspace_root : Path
            Folder that declared paths are relative to.
        into : Path
            Empty folder to fill.
        place : str or None
            Where to pull from instead of the declared place.
        watermark : str
            That of the last delivery; empty for none.
        observations : Path
            Folder of the source's observations, for a sensor feed.

        Returns
        -------
        Pulled or None
            None if there is nothing above the watermark; ``into`` is then left empty.

        Raises
        ------
        SourceUnreachableError
            If the source does not answer.
        DeclarationError
            If the declaration or the place is wrong.
        """
        ...


def connector(pull_type: str) -> Connector:
    """Return the connector that is registered for a pull type.

    Raises
    ------
    DeclarationError
        If none is registered, or two are.
    """
    found = entry_points(group=ENTRY_POINT_GROUP, name=pull_type)
    if len(found) == 1:
        return cast("Connector", next(iter(found)).load())
    known = sorted({one.name for one in entry_points(group=ENTRY_POINT_GROUP)})
    raise DeclarationError(
        found=f"{len(found)} connectors for pull type {pull_type!r}",
        where=f"entry points {ENTRY_POINT_GROUP}",
        expected=f"one; registered are {', '.join(known) or 'none'}",
        remedy="install the package that brings it, or remove one of them",
    )


def pull(
    source: Source,
    *,
    workspace_root: Path,
    into: Path,
    place: str | None = None,
    watermark: str = "",
    observations: Path,
) -> Pulled | None:
    """Pull a source with the connector of its type; see `Connector.pull`."""
    return connector(source.pull.type).pull(
        source,
        workspace_root=workspace_root,
        into=into,
        place=place,
        watermark=watermark,
        observations=observations,
    )
