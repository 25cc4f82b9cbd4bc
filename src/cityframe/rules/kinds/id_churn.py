"""Ids are not handed out anew: features are not exchanged one for one.

Churn is the smaller of two shares of the current release: uids that vanish, and uids that are new.
Real growth or clearance moves one of them; both rise together when a source numbers its features
anew. One finding for the layer; the place is the extent of the new features.

```yaml
kind: id_churn
parameters: {max_share: 0.02}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.model.finding import Scope
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class IdChurnParameters(Parameters):
    """What `id_churn` needs."""

    max_share: float = Field(ge=0, le=1, description="highest churn allowed, as a share")


def check(context: Context, parameters: IdChurnParameters) -> pd.DataFrame:
    """Return one defect if too many ids are exchanged."""
    previous = context.previous
    if previous is None or previous.empty:
        return no_defects()
    is_new = context.place_before < 0
    churn = min(int(np.count_nonzero(is_new)), len(context.gone)) / len(previous)
    if churn <= parameters.max_share:
        return no_defects()
    return defects(
        found=words(
            en="{churn:.1%} of the ids exchanged", zh="{churn:.1%} 的标识被更换", churn=[churn]
        ),
        expected=words(
            en=f"at most {parameters.max_share:.1%}", zh=f"不大于 {parameters.max_share:.1%}"
        ),
        geometry=[extent(context.geometry[is_new])],
    )


KIND = RuleKind(
    name="id_churn",
    number=83,
    group="L across versions",
    measure=iso_measure("2"),
    params=IdChurnParameters,
    reach="versions",
    check=check,
    scopes=frozenset({Scope.CANDIDATE}),
)
