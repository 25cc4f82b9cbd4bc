"""Of a sample whose true class is known, few features are classified wrong.

The sample is another layer with the true class in `layer_column`; it is paired with the features
by the attribute `key`, or, without it, by place: a sample lies in or on a feature, or within
`within_m` of it, and belongs to the nearest, of equals to the first. Samples and features without a
class, and samples without a feature, take no part.

Each feature classified wrong is a finding; its place is the feature. The rate of misclassification
has a confidence interval, after Clopper and Pearson. With `judge: proved-wrong` the layer fails if
even the lower end lies above `max_rate`; with `judge: not-proved-right` if the upper end does, so
that a small sample fails too. That finding stands at the features of the sample that are wrong and
gives the commonest confusions; it is never tolerated, the single ones are as the rule's
`tolerated` says.

```yaml
kind: sampled_misclassification
parameters: {layer: field_sample, within_m: 1.0, column: usage, max_rate: 0.05}
```
"""

from typing import Literal, Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator
from scipy.stats import beta

from cityframe.config.schema import Name
from cityframe.core.frames import key_text
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context, Positions, usable_geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.control_points import KEYS
from cityframe.rules.geometry.middles import middles
from cityframe.rules.kind import (
    SPATIAL,
    TEXT,
    ColumnNeeds,
    OtherLayer,
    Parameters,
    RuleKind,
)
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

CLASSES = TEXT | {AttributeType.INTEGER, AttributeType.BOOLEAN}


class SampledMisclassificationParameters(Parameters):
    """What `sampled_misclassification` needs."""

    layer: Name = Field(description="layer of the sample")
    column: Name = Field(description="attribute with the class")
    layer_column: Name | None = Field(
        default=None, description="attribute with the true class in the sample, if another"
    )
    key: Name | None = Field(default=None, description="attribute of both that pairs")
    within_m: float | None = Field(
        default=None, ge=0, description="farthest that a sample lies from its feature, in metres"
    )
    max_rate: float = Field(
        default=0.05, ge=0, lt=1, description="misclassification allowed, as a share"
    )
    confidence: float = Field(
        default=0.95, gt=0, lt=1, description="confidence of the interval of the rate, as a share"
    )
    judge: Literal["proved-wrong", "not-proved-right"] = Field(
        default="proved-wrong", description="which end of the interval is held against `max_rate`"
    )

    @model_validator(mode="after")
    def _pairs_somehow(self) -> Self:
        if (self.key is None) == (self.within_m is None):
            message = "either key or within_m, to pair the sample"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes with the class and the key."""
        del layer
        return {self.column: CLASSES} | ({} if self.key is None else {self.key: KEYS})

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the sample."""
        columns = {self.layer_column or self.column: CLASSES}
        if self.key is not None:
            return (OtherLayer(self.layer, columns | {self.key: KEYS}),)
        return (OtherLayer(self.layer, columns, SPATIAL),)


def check(context: Context, parameters: SampledMisclassificationParameters) -> pd.DataFrame:
    """Return the features classified wrong, and one defect for the layer if they are too many."""
    frame = context.other(parameters.layer)
    row, sample = _pairs(context, frame, parameters)
    given = context.frame[parameters.column].iloc[row].astype("str").to_numpy(dtype=object)
    true = frame[parameters.layer_column or parameters.column].iloc[sample].astype("str")
    pairs = pd.DataFrame({"row": row, "given": given, "true": true.to_numpy(dtype=object)})
    pairs = pairs.dropna().sort_values("row", kind="stable")
    wrong = pairs[pairs["given"] != pairs["true"]]
    single = defects(
        row=wrong["row"],
        found=words(
            en=f"{parameters.column} = {{given}}",
            zh=f"{parameters.column} = {{given}}",
            given=wrong["given"],
        ),
        expected=words(en="{true}", zh="{true}", true=wrong["true"]),
    )
    return pd.concat([single, _rate(context, len(pairs), wrong, parameters)], ignore_index=True)


def confidence_interval(wrong: int, size: int, confidence: float) -> tuple[float, float]:
    """Return the two ends of the interval of a rate, as shares.

    References
    ----------
    C. J. Clopper, E. S. Pearson: The use of confidence or fiducial limits illustrated in the case
    of the binomial. Biometrika 26 (1934).
    """
    tail = (1 - confidence) / 2
    low = 0.0 if wrong == 0 else float(beta.ppf(tail, wrong, size - wrong + 1))
    high = 1.0 if wrong == size else float(beta.ppf(1 - tail, wrong + 1, size - wrong))
    return low, high


def _pairs(
    context: Context, frame: pd.DataFrame, parameters: SampledMisclassificationParameters
) -> tuple[Positions, Positions]:
    """Return each sample with its feature."""
    if parameters.key is not None:
        own = pd.DataFrame({"key": key_text(context.frame, (parameters.key,)).to_numpy()})
        other = pd.DataFrame({"key": key_text(frame, (parameters.key,)).to_numpy()})
        both = (
            own.assign(row=np.arange(len(own)))
            .dropna()
            .merge(other.assign(sample=np.arange(len(other))).dropna(), on="key")
        )
        return both["row"].to_numpy(), both["sample"].to_numpy()
    places = middles(usable_geometries(frame))
    sample, row = context.tree.query(
        places, predicate="dwithin", distance=parameters.within_m or 0.0
    )
    pairs = pd.DataFrame({"sample": sample, "row": row})
    pairs["distance"] = shapely.distance(places[sample], context.geometry[row])
    nearest = pairs.sort_values(["sample", "distance", "row"]).drop_duplicates("sample")
    return nearest["row"].to_numpy(), nearest["sample"].to_numpy()


def _rate(
    context: Context, size: int, wrong: pd.DataFrame, parameters: SampledMisclassificationParameters
) -> pd.DataFrame:
    """Return the defect of the whole layer, if the rate is too high."""
    if not size:
        return no_defects()
    low, high = confidence_interval(len(wrong), size, parameters.confidence)
    judged = low if parameters.judge == "proved-wrong" else high
    if judged <= parameters.max_rate:
        return no_defects()
    common = wrong.value_counts(["true", "given"]).rename("n").reset_index()
    common = common.sort_values(["n", "true", "given"], ascending=[False, True, True]).head(3)
    confusions = ", ".join(
        f"{true} → {given} {n}" for true, given, n in common.itertuples(index=False)
    )
    found = words(
        en="{wrong} of {size} sampled features are classified wrong: {rate:.1%}, "
        f"with {parameters.confidence:g} confidence {{low:.1%}} to {{high:.1%}}{{more}}",
        zh="抽样 {size} 个要素，分类错误 {wrong} 个，错误率 {rate:.1%}，"
        f"置信度 {parameters.confidence:g} 的区间为 {{low:.1%}} 至 {{high:.1%}}{{more}}",
        wrong=[len(wrong)],
        size=[size],
        rate=[len(wrong) / size],
        low=[low],
        high=[high],
        more=[f" ({confusions})" if confusions else ""],
    )
    places = context.usable_geometry[wrong["row"].to_numpy()]
    places = places[~shapely.is_missing(places)]
    return defects(
        found=found,
        expected=words(
            en=f"at most {parameters.max_rate:.1%}", zh=f"不大于 {parameters.max_rate:.1%}"
        ),
        geometry=[shapely.geometrycollections(places) if len(places) else None],
    )


KIND = RuleKind(
    name="sampled_misclassification",
    number=68,
    group="I completeness",
    measure=iso_measure("62"),
    params=SampledMisclassificationParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
