"""No feature changes from one release to the next to a class that it hardly can become.

`improbable` maps a class before to the classes that it does not turn into; `"*"` among them stands
for every other class. Compared is the attribute under one uid in the current release and in the
candidate; from and to null is no change of class. The place is the feature.

```yaml
kind: class_change
parameters: {column: land_cover, improbable: {water: [building, road], forest: ["*"]}}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from cityframe.config.schema import Name
from cityframe.model.finding import Scope
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

ANY = "*"


class ClassChangeParameters(Parameters):
    """What `class_change` needs."""

    column: Name = Field(description="attribute with the class")
    improbable: dict[str | int, tuple[str | int, ...]] = Field(
        min_length=1, description="classes that a class does not turn into; `*` for any other"
    )

    @field_validator("improbable")
    @classmethod
    def _targets(
        cls, value: dict[str | int, tuple[str | int, ...]]
    ) -> dict[str | int, tuple[str | int, ...]]:
        for before, after in value.items():
            if not after or before in after:
                message = f"other classes for {before!r}"
                raise ValueError(message)
        return value

    def named(self) -> set[str | int]:
        """Return the classes that the pairs name."""
        return {one for pair in self.improbable.items() for one in (pair[0], *pair[1])} - {ANY}

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute; its type follows from the classes."""
        del layer
        is_text = any(isinstance(one, str) for one in self.named())
        return {
            self.column: frozenset({AttributeType.STRING if is_text else AttributeType.INTEGER})
        }

    def misfit(self, layer: Layer) -> str:
        """Say so if a class is none of the contract's codes, or texts and numbers are mixed."""
        if len({type(one) for one in self.named()}) > 1:
            return "classes mix texts and numbers"
        codes = {attribute.name: attribute.codes for attribute in layer.attributes}
        allowed = codes.get(self.column, ())
        unknown = sorted(str(one) for one in self.named() if str(one) not in map(str, allowed))
        return f"no code {', '.join(unknown)} of {self.column}" if allowed and unknown else ""


def check(context: Context, parameters: ClassChangeParameters) -> pd.DataFrame:
    """Return the features whose class has changed improbably."""
    previous, column = context.previous, parameters.column
    if previous is None or column not in previous.columns:
        return no_defects()
    place = context.place_before
    row = np.flatnonzero(place >= 0)
    change = pd.DataFrame(
        {
            "row": row,
            "before": previous[column].iloc[place[row]].array,
            "after": context.frame[column].iloc[row].array,
        }
    ).dropna()
    change = change[change["before"] != change["after"]]
    is_bad = np.zeros(len(change), dtype=bool)
    for before, targets in parameters.improbable.items():
        is_target = True if ANY in targets else change["after"].isin(targets)
        is_bad |= ((change["before"] == before) & is_target).to_numpy()
    bad = change[is_bad]
    return defects(
        row=bad["row"].to_numpy(),
        found=words(
            "{name}: {before} → {after}",
            "{name}：{before} → {after}",
            name=[column] * len(bad),
            before=bad["before"],
            after=bad["after"],
        ),
        expected=words(
            "{before} or a class that it can become",
            "{before}，或可由其转变的类别",
            before=bad["before"],
        ),
    )


KIND = RuleKind(
    name="class_change",
    number=85,
    group="L across versions",
    measure=iso_measure("61"),
    params=ClassChangeParameters,
    reach="versions",
    check=check,
    scopes=frozenset({Scope.CANDIDATE}),
)
