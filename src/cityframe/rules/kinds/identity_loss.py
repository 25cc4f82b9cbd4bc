"""No feature of the current release is lost without a word.

A uid that the current release has and the candidate has not must be a removal in the candidate's
change table. A lost uid is never tolerated. The place is the feature as it was.

```yaml
kind: identity_loss
```
"""

import pandas as pd

from cityframe.model.change import ChangeKind
from cityframe.model.finding import Scope
from cityframe.rules.context import Context, geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class IdentityLossParameters(Parameters):
    """`identity_loss` takes no parameters."""


def check(context: Context, parameters: IdentityLossParameters) -> pd.DataFrame:
    """Return the features that are gone without a removal."""
    del parameters
    previous = context.previous
    if previous is None:
        return no_defects()
    lost = context.gone
    if context.changes is not None:
        removed = context.changes["change"] == ChangeKind.REMOVED.value
        is_told = previous["uid"].iloc[lost].isin(context.changes.loc[removed, "uid"])
        lost = lost[~is_told.to_numpy()]
    return defects(
        uid=previous["uid"].to_numpy()[lost],
        found=words(
            en="the feature is gone, and no change removes it",
            zh="要素消失，变更表中无删除记录",
        ),
        expected=words(en="the feature, or a removal", zh="要素存在，或有删除记录"),
        geometry=geometries(previous)[lost],
    )


KIND = RuleKind(
    name="identity_loss",
    number=82,
    group="L across versions",
    measure=iso_measure("7"),
    params=IdentityLossParameters,
    reach="versions",
    check=check,
    scopes=frozenset({Scope.CANDIDATE}),
)
