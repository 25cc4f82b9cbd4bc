"""How a layer is reconciled, as declared under ``reconcile:`` in ``schemas/NAME.yaml``."""

from typing import Annotated, Literal

from pydantic import Field

from cityframe.config.document import Declaration

ALL_ATTRIBUTES = "*"
GEOMETRY = "geometry"

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=48)]


class Edges(Declaration):
    """Where features of neighbouring districts must meet (接边).

    ``borders`` is the layer of the districts. Ends within 2√2·m of a border are paired by angle, by
    the attributes ``same`` (class) and by the layer's name; ``reach_m`` is how far apart they are
    still looked for, to be told as a finding.
    """

    borders: _Name
    same: tuple[_Name, ...] = ()
    reach_m: float | None = Field(default=None, gt=0)


class Reconciling(Declaration):
    """``reconcile:`` of a layer: matching, identity, who may say what.

    ``name`` is the attribute with a feature's name in words; ``exact`` those that must not differ
    (number, unit, floor). ``split``: what becomes of a feature in several parts: ``retire`` it, or
    leave its uid to the ``largest`` part if that has ``keep_share`` of it. ``shared_boundaries``:
    the layer is a coverage, so that a boundary moves on both of its sides. ``authority``: for each
    attribute (``geometry`` is one, ``*`` are those not named) the sources that may overwrite what
    others said, the first before the second.
    """

    name: _Name | Literal[""] = ""
    exact: tuple[_Name, ...] = ()
    split: Literal["retire", "largest"] = "largest"
    keep_share: float = Field(default=0.6, gt=0.5, le=1)
    shared_boundaries: bool = False
    authority: dict[str, tuple[_Name, ...]] = Field(default_factory=dict)
    edges: Edges | None = None

    def authorities(self, attribute: str) -> tuple[str, ...] | None:
        """Return the sources that may overwrite an attribute; None where nothing is declared."""
        return self.authority.get(attribute, self.authority.get(ALL_ATTRIBUTES))
