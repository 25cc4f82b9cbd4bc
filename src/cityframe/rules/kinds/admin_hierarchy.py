"""An administrative code fits into the hierarchy of Chinese administrative divisions.

A code of GB/T 2260 and GB/T 10114 begins with the code of the unit above it: 2 digits for the
province, 4 for the prefecture, 6 for the county, 9 for the township, 12 for the village. Checked
are

* the form: digits, as many as a level has;
* `parent`: where that attribute is declared and not null, it is the code of the level above;
* the unit above: it is among the codes of this layer or of `layer`, or the code is of the highest
  level that occurs. A layer with one level only and no `layer` has nothing to look it up in.

With `padded`, codes filled up with zeros (`110000`, `110100`) are read as the shorter ones. Reach:
the whole layer.

```yaml
kind: admin_hierarchy
parameters: {column: code, parent: county_code, layer: counties, layer_column: code}
```
"""

from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import TEXT, ColumnNeeds, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words


class AdminHierarchyParameters(Parameters):
    """What `admin_hierarchy` needs."""

    column: Name = Field(description="attribute with the code")
    parent: Name | None = Field(
        default=None, description="attribute with the code of the unit above"
    )
    layer: Name | None = Field(default=None, description="layer of the units above")
    layer_column: Name | None = Field(default=None, description="attribute with their codes")
    padded: bool = Field(default=False, description="whether codes are filled up with zeros")
    levels: tuple[int, ...] = Field(
        default=(2, 4, 6, 9, 12), description="digits of each level, from the highest", min_length=1
    )

    @model_validator(mode="after")
    def _whole_reference(self) -> Self:
        if (self.layer is None) != (self.layer_column is None):
            message = "layer and layer_column together"
            raise ValueError(message)
        if list(self.levels) != sorted(set(self.levels)):
            message = "levels in rising order"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with the codes."""
        del layer
        return {name: TEXT for name in (self.column, self.parent) if name is not None}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the units above."""
        if self.layer is None or self.layer_column is None:
            return ()
        return (OtherLayer(name=self.layer, columns={self.layer_column: TEXT}),)


def check(context: Context, parameters: AdminHierarchyParameters) -> pd.DataFrame:
    """Return the features whose code has no right form, parent or unit above."""
    given = context.frame[parameters.column]
    code = _short(given, parameters)
    above = _code_above(code, parameters.levels)
    has_form = _has_form(code, parameters.levels)
    found = np.full(len(code), "", dtype=object)
    expected, expected_zh = np.full((2, len(code)), "", dtype=object)

    orphan = _is_orphan(context, parameters, code, above)
    expected[orphan] = ("a unit " + above[orphan] + " above it").to_numpy(dtype=object)
    expected_zh[orphan] = ("有上级单位 " + above[orphan]).to_numpy(dtype=object)
    if parameters.parent is not None:
        parent = _short(context.frame[parameters.parent], parameters)
        strange = (has_form & parent.notna() & (above != "") & (parent != above)).to_numpy()
        expected[strange] = (parameters.parent + " = " + above[strange]).to_numpy(dtype=object)
        expected_zh[strange] = expected[strange]
        found[strange] = (", " + parameters.parent + " = " + parent[strange]).to_numpy(dtype=object)
    formless = (given.notna() & ~has_form).to_numpy()
    expected[formless] = f"{', '.join(map(str, parameters.levels))} digits"
    expected_zh[formless] = f"{'、'.join(map(str, parameters.levels))} 位数字"

    row = np.flatnonzero(expected != "")
    texts = parameters.column + " = " + given.iloc[row].to_numpy(dtype=object) + found[row]
    return defects(row=row, found=texts, expected=Words(expected[row], expected_zh[row]))


def _short(codes: pd.Series, parameters: AdminHierarchyParameters) -> pd.Series:
    """Return the codes without the zeros that fill them up, if they are padded."""
    codes = codes.reset_index(drop=True)
    if not parameters.padded:
        return codes
    short = codes
    for level in reversed(parameters.levels):
        rest = codes.str.slice(level)
        is_filled = rest.str.fullmatch("0+").fillna(value=False).astype(bool)
        short = short.where(~is_filled, codes.str.slice(0, level))
    return short


def _has_form(code: pd.Series, levels: tuple[int, ...]) -> pd.Series:
    digits = code.str.fullmatch("[0-9]+").fillna(value=False).astype(bool)
    return digits & code.str.len().isin(levels)


def _code_above(code: pd.Series, levels: tuple[int, ...]) -> pd.Series:
    """Return the code of the unit above; empty for the highest level and for no code."""
    above = pd.Series("", index=code.index, dtype="str")
    length = code.str.len()
    for higher, level in pairwise(levels):
        above = above.where(length != level, code.str.slice(0, higher))
    return above.fillna("")


def _is_orphan(
    context: Context, parameters: AdminHierarchyParameters, code: pd.Series, above: pd.Series
) -> npt.NDArray[np.bool_]:
    has_form = _has_form(code, parameters.levels)
    known = code[has_form]
    if parameters.layer is not None and parameters.layer_column is not None:
        frame = context.other(parameters.layer)
        known = pd.concat([known, _short(frame[parameters.layer_column].dropna(), parameters)])
    top = known.str.len().min()
    is_looked_up = has_form & (above != "") & (code.str.len() > top)
    return (is_looked_up & ~above.isin(known)).to_numpy(dtype=bool)


KIND = RuleKind(
    name="admin_hierarchy",
    number=14,
    group="B domain",
    measure=iso_measure("10"),
    params=AdminHierarchyParameters,
    reach="layer",
    check=check,
)
