"""Resolve addresses to features: entities first, then what stands at the number."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.core.addresses.gazetteer import Gazetteer, keyed_parts
from cityframe.core.addresses.parts import INSIDE
from cityframe.core.addresses.street_names import name_parts, near_names

LEAST_SCORE = 0.8
"""One slip in five letters of a street; with a second doubt that is a question."""
LEAST_MARGIN = 0.04
"""Less than any one doubt weighs: two candidates that differ in no doubt are a question."""
_TYPE_UNSAID = 0.9
_DIVISION_UNSAID = 0.95
_MORE_SAID = 0.95
_LESS_SAID = 0.9


class Reason(StrEnum):
    """Why a record has no feature; empty for one that has."""

    FOUND = ""
    NO_STREET = "no-street"
    NO_NUMBER = "no-number"
    UNKNOWN_STREET = "unknown-street"
    UNKNOWN_NUMBER = "unknown-number"
    OTHER_UNIT = "other-unit"
    WEAK = "weak"
    SEVERAL = "several"


@dataclass(frozen=True)
class Acceptance:
    """From which score and margin on a candidate is taken."""

    score: float = LEAST_SCORE
    margin: float = LEAST_MARGIN


def resolve(
    records: pd.DataFrame, gazetteer: Gazetteer, acceptance: Acceptance | None = None
) -> pd.DataFrame:
    """Find the one feature that each address names.

    A candidate has the record's street (by one of its names, or a name that is near it in the same
    district) and exactly its house number; building, unit, floor and room must not differ where
    both say them. The score falls with each doubt: a near name by its likeness, a type that the
    record leaves unsaid (0.9), a district that either does (0.95), a part inside that only the
    record (0.95) or only the feature (0.9) has.

    Parameters
    ----------
    records : DataFrame, n rows
        Columns of `PARTS`.
    acceptance : Acceptance, optional

    Returns
    -------
    DataFrame, n rows
        ``position`` of the feature or -1, ``score`` of the best candidate (0 for none), ``margin``
        over the second, ``reason`` (`Reason`), ``best`` and ``second`` (positions of the two best
        candidates, -1 for none), ``second_score``.
    """
    limits = acceptance or Acceptance()
    asked = keyed_parts(records, gazetteer.style)
    links = street_links(asked, gazetteer)
    on_street = asked.reset_index(names="record").merge(links, on=["division", "key"])
    points = gazetteer.points.drop(columns="division").reset_index(names="position")
    pairs = on_street[on_street["number"] != ""].merge(
        points[points["number"] != ""], on=["street", "number"], suffixes=("", "_there")
    )
    at_number = pairs["record"].unique()
    pairs = _scored(pairs)
    ranked = _ranked(pairs, len(asked))
    reason = _reasons(asked, on_street["record"].unique(), at_number, ranked, limits)
    position = ranked["best"].where(reason == Reason.FOUND, -1)
    return ranked.assign(position=position, reason=reason)[
        ["position", "score", "margin", "reason", "best", "second", "second_score"]
    ]


def street_links(asked: pd.DataFrame, gazetteer: Gazetteer) -> pd.DataFrame:
    """Find the streets that each ``division`` and ``key`` may name.

    Parameters
    ----------
    asked : DataFrame
        ``division`` and ``key``, as `keyed_parts` gives them.

    Returns
    -------
    DataFrame
        ``division``, ``key``, ``street`` (a number of the gazetteer's), ``likeness`` (0 to 1); each
        pair of ``division`` and ``key`` once for each street.
    """
    wanted = asked.loc[asked["key"] != "", ["division", "key"]].drop_duplicates(ignore_index=True)
    parts = name_parts(wanted["key"], gazetteer.style)
    wanted = pd.concat([wanted, parts], axis=1).reset_index(names="wanted")
    streets = gazetteer.streets
    same = _compatible(wanted.merge(streets, on="key", suffixes=("", "_there")))
    found = [same.assign(likeness=same["agreement"])]
    rest = wanted[~wanted["wanted"].isin(same["wanted"])]
    # MAIN for MAIN ST; not the other way round: SHORE and SHORE PLACE are two streets
    bare = _compatible(rest.merge(streets, on=["bare", "telling"], suffixes=("", "_there")))
    bare = bare[bare["type"] == ""]
    found.append(bare.assign(likeness=_TYPE_UNSAID * bare["agreement"]))
    rest = rest[~rest["wanted"].isin(bare["wanted"])]
    for division, rows in rest.groupby("division"):
        there = streets[streets["division"] == division]
        near = near_names(rows.set_index("wanted"), there)
        found.append(
            pd.DataFrame(
                {
                    "wanted": near["asked"].astype("int64"),
                    "street": there["street"].reindex(near["known"]).to_numpy(),
                    "likeness": near["likeness"],
                }
            )
        )
    links = pd.concat([one[["wanted", "street", "likeness"]] for one in found], ignore_index=True)
    best = links.sort_values("likeness", ascending=False).drop_duplicates(["wanted", "street"])
    return wanted[["wanted", "division", "key"]].merge(best, on="wanted").drop(columns="wanted")


def _compatible(pairs: pd.DataFrame) -> pd.DataFrame:
    """Keep the pairs whose divisions do not contradict; with what an unsaid one costs."""
    ours, theirs = pairs["division"], pairs["division_there"]
    agrees = np.array(
        [
            not a or not b or a == b or (a.isdigit() and (a.startswith(b) or b.startswith(a)))
            for a, b in zip(ours, theirs, strict=True)
        ],
        dtype=bool,
    )
    agreement = np.where(ours == theirs, 1.0, _DIVISION_UNSAID)
    return pairs.assign(agreement=agreement)[agrees]


def _scored(pairs: pd.DataFrame) -> pd.DataFrame:
    """Drop the pairs that differ inside, and score the others."""
    differs = np.zeros(len(pairs), dtype=bool)
    says_more, says_less = differs.copy(), differs.copy()
    for name in INSIDE:
        ours, theirs = np.asarray(pairs[name]), np.asarray(pairs[f"{name}_there"])
        has, there = ours != "", theirs != ""
        differs |= has & there & (ours != theirs)
        says_more |= has & ~there
        says_less |= ~has & there
    doubt = np.where(says_less, _LESS_SAID, 1.0) * np.where(says_more, _MORE_SAID, 1.0)
    scored = pairs[["record", "position"]].assign(score=pairs["likeness"] * doubt)
    return scored[~differs].sort_values(
        ["record", "score", "position"], ascending=[True, False, True], ignore_index=True
    )


def _ranked(pairs: pd.DataFrame, count: int) -> pd.DataFrame:
    rank = pairs.groupby("record").cumcount()
    first = pairs[rank == 0].set_index("record").reindex(range(count))
    second = pairs[rank == 1].set_index("record").reindex(range(count))
    score, second_score = first["score"].fillna(0.0), second["score"].fillna(0.0)
    return pd.DataFrame(
        {
            "score": score,
            "margin": score - second_score,
            "best": first["position"].fillna(-1).astype("int64"),
            "second": second["position"].fillna(-1).astype("int64"),
            "second_score": second_score,
        }
    ).reset_index(drop=True)


def _reasons(
    asked: pd.DataFrame,
    on_street: npt.NDArray[np.int64],
    at_number: npt.NDArray[np.int64],
    ranked: pd.DataFrame,
    limits: Acceptance,
) -> pd.Series:
    row = asked.index
    # in the order of the questions: the first that holds is the reason
    reasons = {
        Reason.NO_STREET: asked["key"] == "",
        Reason.NO_NUMBER: asked["number"] == "",
        Reason.UNKNOWN_STREET: ~row.isin(on_street),
        Reason.UNKNOWN_NUMBER: ~row.isin(at_number),
        Reason.OTHER_UNIT: ranked["best"] < 0,
        Reason.WEAK: ranked["score"] < limits.score,
        Reason.SEVERAL: ranked["margin"] < limits.margin,
    }
    chosen = np.select(
        [np.asarray(holds) for holds in reasons.values()],
        [reason.value for reason in reasons],
        default=Reason.FOUND.value,
    )
    return pd.Series(chosen, index=row, dtype="str")
