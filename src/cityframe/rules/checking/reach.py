"""How far a rule looks, as a number."""

import math

from pyproj import CRS

from cityframe.rules.compiled import CompiledRule

ALONE = -math.inf
"""Reach of a rule that looks at nothing beside the feature itself."""


def reach_of(compiled: CompiledRule) -> float | None:
    """Return how far a rule looks, in the unit of its layer's CRS: `ALONE`, or a distance.

    None means that it is checked whole: because of its kind's reach, its need of something beside
    the layers, or a distance in metres over a CRS that is not in metres.
    """
    kind, parameters, layer = compiled.kind, compiled.parameters, compiled.layer
    reads_more = bool(kind.needs or parameters.needed_context() or kind.depends_on_time)
    if kind.check is None or reads_more:
        return None
    if kind.reach == "feature":
        return None if parameters.needed_layers() else ALONE
    if kind.reach != "neighbourhood":
        return None
    reach_m = parameters.reach_m(layer)
    if reach_m is None or reach_m == 0:
        return reach_m
    return reach_m if kind.needs_metres or _is_in_metres(layer.crs) else None


def _is_in_metres(crs: str) -> bool:
    known = CRS.from_user_input(crs)
    return known.is_projected and known.axis_info[0].unit_name == "metre"
