"""Geometries are of the types allowed and have no more parts than allowed.

Without `types` allowed is what the layer's contract says, and for a layer of many-part features
the one-part type too. Parts that are empty do not count. Null and empty geometries pass. The place
of a wrong type is the feature, of too many parts those beside the largest (longest, first) one.

```yaml
kind: geometry_type
parameters: {max_parts: 1}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.model.layer import GeometryType, Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words

_ZH = {
    "Point": "点", "LineString": "线", "LinearRing": "环", "Polygon": "面", "MultiPoint": "多点",
    "MultiLineString": "多线", "MultiPolygon": "多面", "GeometryCollection": "几何集合",
}  # fmt: skip
_NAMES = {
    one.value: next(name for name in _ZH if name.upper() == one.name)
    for one in shapely.GeometryType
    if one is not shapely.GeometryType.MISSING
}
_IDS = {name: number for number, name in _NAMES.items()}


class GeometryTypeParameters(Parameters):
    """What `geometry_type` needs."""

    types: tuple[GeometryType, ...] = Field(
        default=(), description="types allowed; empty for those of the layer's contract"
    )
    max_parts: int | None = Field(default=None, ge=1, description="most parts of a feature")

    def allowed(self, layer: Layer) -> tuple[str, ...]:
        """Return the names of the types allowed."""
        of_contract = (layer.geometry.value, layer.geometry.single)
        return tuple(dict.fromkeys(one.value for one in self.types)) or tuple(
            dict.fromkeys(of_contract)
        )

    def misfit(self, layer: Layer) -> str:
        """Say so if `none` is among the types."""
        del layer
        return "geometry type none can't be asked of a feature" if "none" in self.types else ""


def check(context: Context, parameters: GeometryTypeParameters) -> pd.DataFrame:
    """Return the features of a wrong type or with too many parts."""
    names = parameters.allowed(context.layer)
    geometry = context.geometry
    kind = shapely.get_type_id(geometry)
    is_right = np.isin(kind, [_IDS[name] for name in names])
    wrong = np.flatnonzero(~is_right & (kind >= 0) & ~shapely.is_empty(geometry))
    most = parameters.max_parts
    many, parts, surplus = _too_many(geometry, is_right, most)
    name_en, name_zh = ", ".join(names), "、".join(_ZH[name] for name in names)
    parts_en = "" if most is None else f" of at most {most} parts"
    parts_zh = "" if most is None else f"，部分数不超过 {most}"
    wrong_names = [_NAMES[number] for number in kind[wrong].tolist()]
    found = Words(
        [*wrong_names, *(f"{n} parts" for n in parts)],
        [*(_ZH[name] for name in wrong_names), *(f"含 {n} 个部分" for n in parts)],
    )
    return defects(
        row=np.concatenate([wrong, many]),
        found=found,
        expected=words(f"{name_en}{parts_en}", f"{name_zh}{parts_zh}"),
        geometry=[*[None] * len(wrong), *surplus],
    )


def _too_many(
    geometry: Geometries, is_right: npt.NDArray[np.bool_], most: int | None
) -> tuple[Positions, list[int], list[shapely.Geometry]]:
    """Return the rows with too many parts, how many they have, and the surplus parts."""
    if most is None:
        return np.empty(0, dtype=np.int64), [], []
    candidates = np.flatnonzero(is_right & (shapely.get_num_geometries(geometry) > most))
    parts, owner = shapely.get_parts(geometry[candidates], return_index=True)
    is_filled = ~shapely.is_empty(parts)
    parts, owner = parts[is_filled], owner[is_filled]
    count = np.bincount(owner, minlength=len(candidates))
    size = shapely.area(parts) + shapely.length(parts)
    # the largest part of each feature first; equal ones as they stand
    order = np.lexsort((np.arange(len(parts)), -np.nan_to_num(size), owner))
    first = np.concatenate([[0], np.cumsum(count)[:-1]]) if len(count) else count
    is_surplus = np.ones(len(parts), dtype=bool)
    is_surplus[order[first[count > 0]]] = False
    over = np.flatnonzero(count > most)
    surplus: list[shapely.Geometry] = [
        shapely.GeometryCollection(parts[is_surplus & (owner == one)].tolist()) for one in over
    ]
    return np.asarray(candidates[over]), count[over].tolist(), surplus


KIND = RuleKind(
    name="geometry_type",
    number=20,
    group="C geometry",
    measure=iso_measure("10"),
    params=GeometryTypeParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
)
