"""Several sources about the same features: who counts, attribute by attribute."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.config.reconciling import Reconciling
from cityframe.core.agreement import Tolerance
from cityframe.model.question import Action
from cityframe.reconcile import CurrentLayer, FrameLayer, compose
from cityframe.reconcile.cascade import Matches
from cityframe.reconcile.comparison import Comparison, compare
from cityframe.reconcile.disputes import CONFLICT_COLUMNS, PROVENANCE_COLUMNS
from cityframe.reconcile.merging import Merging
from cityframe.reconcile.records import Records
from cityframe.reconcile.roles import MatchedRecords, Role

Row = Mapping[str, Any]
TOLERANCE = Tolerance.between(0.1, 0.1)
START = {"code": "a", "name": "old", "floors": 1, "at": "POINT (0 0)"}
NOTHING: Row = {}


class Released(FrameLayer):
    """A layer of which each release so far is known; ``survey.0`` of 2024-01-01 said it all."""

    def __init__(self, desk: Any, rows: Sequence[Row]) -> None:
        first = desk.current(*[{**row, "uid": row["code"]} for row in rows])
        super().__init__(desk.layer, first.all_rows())
        self.releases = {1: first.all_rows()}

    def standing(self, uids: Sequence[str]) -> pd.DataFrame:
        said = pd.Timestamp("2024-01-01", tz="UTC")
        return pd.DataFrame({"uid": list(uids), "since": said, "source": "survey"})

    def origins(self, uids: Sequence[str]) -> pd.DataFrame:
        names = [*self.layer.attribute_names, "geometry"]
        pairs = pd.MultiIndex.from_product([list(uids), names], names=["uid", "attribute"])
        return pairs.to_frame(index=False).assign(
            source="survey", delivery="survey.0", observed_at=pd.Timestamp("2024-01-01", tz="UTC")
        )

    def base_rows(self, release: int, uids: Sequence[str]) -> gpd.GeoDataFrame:
        rows = self.releases[release]
        return rows[rows["uid"].isin(list(uids))]


@dataclass
class Town:
    """A layer of points with what each delivery makes of it."""

    desk: Any
    state: CurrentLayer
    rules: Reconciling = field(default_factory=Reconciling)
    answers: dict[tuple[str, str, str], tuple[Action, str]] = field(default_factory=dict)

    def hear(
        self,
        delivery: str,
        day: str,
        *rows: Row,
        base: int | None = None,
        without: Sequence[str] = (),
    ) -> Comparison:
        """Take over what a delivery says of features, by code; return the comparison."""
        records = Records.read(
            self.desk.incoming(*rows, without=without), self.desk.layer, self.desk.feed
        )
        index = self.state.index()
        at = pd.Index(index["uid"]).get_indexer(records.frame["code"])
        matches = Matches(
            position=at,
            matched_by=np.full(len(at), "key", dtype=object),
            score=np.ones(len(at)),
            margin=np.ones(len(at)),
            candidates=pd.DataFrame({"incoming": [], "current": []}, dtype="intp"),
        )
        matched = MatchedRecords(
            records, index, matches, np.full(len(at), Role.UPDATE, dtype=object)
        )
        merging = Merging(
            source=delivery.partition(".")[0],
            delivery=delivery,
            observed_at=f"{day}T00:00:00+00:00",
            rules=self.rules,
            base=base,
            answers=self.answers,
        )
        found = compare(self.state, matched, TOLERANCE, merging)
        self._apply(found, delivery, day)
        return found

    def _apply(self, found: Comparison, delivery: str, day: str) -> None:
        kinds = found.kinds()
        at = np.flatnonzero(kinds.notna())
        moments = pd.Series(pd.Timestamp(day, tz="UTC"), index=range(len(kinds)))
        moments = moments.where(~(found.not_before > moments), found.not_before)
        changes = found.accepted().iloc[at].assign(
            change=kinds.iloc[at].to_numpy(), delivery=delivery, valid_from=moments.iloc[at].array
        )  # fmt: skip
        self.state = compose(self.state, changes)

    def now(self, uid: str = "a") -> dict[str, Any]:
        row = self.state.rows([uid]).iloc[0]
        floors = None if pd.isna(row["floors"]) else int(row["floors"])
        name = None if pd.isna(row["name"]) else row["name"]
        return {"name": name, "floors": floors, "x": row["geometry"].x}


@pytest.fixture
def town(points: Any) -> Town:
    return Town(points, Released(points, [START]))


def losers(found: Comparison, attribute: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = found.provenance.set_index("attribute")
    return rows.loc[attribute].to_dict(), json.loads(rows.loc[attribute, "losers"])


def test_without_a_base_an_older_snapshot_that_comes_late_overwrites_nothing_newer(
    town: Town,
) -> None:
    town.hear("photo.1", "2024-06-01", {**START, "name": "newer"})
    found = town.hear("survey.2", "2024-03-01", {**START, "name": "older", "floors": 2})
    assert town.now() == {"name": "newer", "floors": 2, "x": 0}
    row, lost = losers(found, "name")
    assert (row["source"], row["delivery"], row["rule"]) == ("photo", "photo.1", "observed-later")
    assert lost == [
        {
            "source": "survey", "delivery": "survey.2", "observed_at": "2024-03-01T00:00:00Z",
            "value": "older",
        }
    ]  # fmt: skip
    assert found.not_before[0] == pd.Timestamp("2024-06-01", tz="UTC")


def test_what_the_source_did_not_touch_since_its_base_stays(town: Town) -> None:
    town.hear("photo.1", "2024-02-01", {**START, "name": "photographed", "at": "POINT (9 0)"})
    found = town.hear("planning.2", "2024-06-01", {**START, "floors": 7}, base=1)
    assert town.now() == {"name": "photographed", "floors": 7, "x": 9}
    assert found.kinds().tolist() == ["attributes"]
    assert found.provenance.empty
    assert found.conflicts.empty


def test_an_untouched_geometry_may_differ_from_its_base_within_tolerance(town: Town) -> None:
    town.hear("photo.1", "2024-02-01", {**START, "at": "POINT (9 0)"})
    town.hear("planning.2", "2024-06-01", {**START, "at": "POINT (0.3 0)"}, base=1)
    assert town.now()["x"] == 9
    town.hear("planning.3", "2024-07-01", {**START, "at": "POINT (5 0)"}, base=1)
    assert town.now()["x"] == 5


def test_authority_counts_for_more_than_age(town: Town) -> None:
    town.rules = Reconciling(authority={"name": ("register", "survey")})
    town.hear("register.1", "2024-02-01", {**START, "name": "registered", "floors": 2})
    found = town.hear("survey.2", "2024-06-01", {**START, "name": "seen", "floors": 3})
    assert town.now() == {"name": "registered", "floors": 3, "x": 0}
    row, lost = losers(found, "name")
    assert (row["source"], row["rule"], lost[0]["value"]) == ("register", "authority", "seen")
    back = town.hear("register.3", "2024-03-01", {**START, "name": "corrected", "floors": 2})
    assert town.now()["name"] == "corrected"
    assert losers(back, "floors")[0]["rule"] == "observed-later"


def test_who_is_no_authority_fills_what_is_empty_and_no_more(town: Town) -> None:
    town.rules = Reconciling(authority={"*": ("register",)})
    town.hear("survey.1", "2024-02-01", {**START, "name": None})
    assert town.now()["name"] is None, "a source may overwrite its own value"
    found = town.hear("photo.2", "2024-03-01", {**START, "name": "seen", "floors": 5})
    assert town.now() == {"name": "seen", "floors": 1, "x": 0}
    assert losers(found, "floors")[0]["rule"] == "no-authority"


def test_two_changes_of_one_moment_are_a_question_and_the_rest_is_taken(town: Town) -> None:
    town.hear("photo.1", "2024-06-01", {**START, "name": "photographed"})
    said = {**START, "name": "planned", "floors": 4}
    found = town.hear("planning.2", "2024-06-01", said, base=1)
    assert town.now() == {"name": "photographed", "floors": 4, "x": 0}
    asked = found.conflicts.iloc[0]
    assert set(CONFLICT_COLUMNS) < set(found.conflicts)
    assert (asked["uid"], asked["attribute"], asked["incoming"]) == ("a", "name", 0)
    assert (asked["base_value"], asked["current_value"], asked["incoming_value"]) == (
        "old", "photographed", "planned",
    )  # fmt: skip
    assert (asked["current_source"], asked["current_at"]) == ("photo", "2024-06-01T00:00:00Z")
    row, _ = losers(found, "name")
    assert (row["source"], row["rule"], row["decided_by"]) == ("photo", "undecided", "")


@pytest.mark.parametrize(
    ("action", "name", "lost"),
    [(Action.TAKE, "planned", "photographed"), (Action.KEEP, "photographed", "planned")],
)
def test_an_answer_decides_and_the_same_is_not_asked_again(
    town: Town, action: Action, name: str, lost: str
) -> None:
    town.hear("photo.1", "2024-06-01", {**START, "name": "photographed"})
    said = {**START, "name": "planned"}
    asked = town.hear("planning.2", "2024-06-01", said, base=1).conflicts.iloc[0]
    town.answers[asked["uid"], asked["attribute"], asked["digest"]] = (action, "li")
    found = town.hear("planning.2", "2024-06-01", said, base=1)
    assert town.now()["name"] == name
    assert found.conflicts.empty
    row, other = losers(found, "name")
    assert (row["rule"], row["decided_by"], other[0]["value"]) == ("answer", "li", lost)


def test_an_answer_about_other_values_does_not_count(town: Town) -> None:
    town.hear("photo.1", "2024-06-01", {**START, "name": "photographed"})
    asked = town.hear("planning.2", "2024-06-01", {**START, "name": "planned"}, base=1).conflicts
    town.answers["a", "name", asked["digest"].iloc[0]] = (Action.TAKE, "li")
    other = town.hear("planning.3", "2024-06-01", {**START, "name": "replanned"}, base=1)
    assert len(other.conflicts) == 1
    assert town.now()["name"] == "photographed"


def test_null_is_said_and_absent_is_not(town: Town) -> None:
    found = town.hear("photo.1", "2024-06-01", {**START, "floors": 2}, without=["name"])
    assert town.now() == {"name": "old", "floors": 2, "x": 0}
    assert "name" not in set(found.provenance["attribute"])
    town.hear("photo.2", "2024-07-01", {**START, "name": None, "floors": 2})
    assert town.now()["name"] is None


def test_a_value_of_another_source_that_gives_way_is_kept_in_provenance(town: Town) -> None:
    found = town.hear("photo.1", "2024-06-01", {**START, "name": "seen", "at": "POINT (9 0)"})
    row, lost = losers(found, "geometry")
    assert (row["source"], row["record"]) == ("photo", 0)
    assert (lost[0]["source"], lost[0]["value"]) == ("survey", "POINT (0 0)")
    own = town.hear("photo.2", "2024-07-01", {**START, "name": "seen again", "at": "POINT (9 0)"})
    assert own.provenance.empty, "a source that goes on argues with nobody"
    assert list(own.provenance) == [*PROVENANCE_COLUMNS, "incoming"]


def test_a_match_that_is_a_question_settles_no_value(town: Town) -> None:
    found = town.hear("photo.1", "2024-06-01", {**START, "name": "x", "at": "POINT (9999 0)"})
    assert found.is_implausible.all()
    assert found.provenance.empty
    assert len(found.without_questions().provenance)


CODES = "abcdefghij"
STARTS = [{**START, "code": code} for code in CODES]


def of_each(
    edit: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return an edit of each feature: one example is ten."""
    return st.lists(edit, min_size=len(CODES), max_size=len(CODES))


edits = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["new", None]),
        "floors": st.sampled_from([2, 3, None]),
        "at": st.sampled_from(["POINT (5 0)", "POINT (9 9)"]),
    },
)
values = st.fixed_dictionaries(
    {"name": st.sampled_from(["x", "y"])}, optional={"floors": st.sampled_from([2, 3])}
)
days = st.sampled_from(["2024-02-01", "2024-03-01", "2024-04-01"])
examples = settings(max_examples=8, deadline=None)


def edited(*changes: Sequence[Row]) -> list[Row]:
    rows = STARTS
    for change in changes:
        rows = [{**row, **edit} for row, edit in zip(rows, change, strict=True)]
    return rows


def states(town: Town) -> list[dict[str, Any]]:
    return [town.now(code) for code in CODES]


@examples
@given(
    first=of_each(edits), second=of_each(edits), turned=st.booleans(), when=st.tuples(days, days)
)
def test_a_merge_of_disjoint_edits_is_both_edits(
    points: Any, first: list[Row], second: list[Row], turned: bool, when: tuple[str, str]
) -> None:
    pairs = zip(first, second, strict=True)
    second = [{k: v for k, v in other.items() if k not in one} for one, other in pairs]
    town = Town(points, Released(points, STARTS))
    said = [("photo.1", when[0], edited(first)), ("planning.2", when[1], edited(second))]
    for delivery, day, rows in said[::-1] if turned else said:
        found = town.hear(delivery, day, *rows, base=1)
        assert found.conflicts.empty
    alone = Town(points, Released(points, STARTS))
    alone.hear("photo.1", "2024-06-01", *edited(first, second), base=1)
    assert states(town) == states(alone)


@examples
@given(edit=of_each(edits), base=st.sampled_from([1, None]), day=days)
def test_the_same_delivery_again_changes_nothing(
    points: Any, edit: list[Row], base: int | None, day: str
) -> None:
    town = Town(points, Released(points, STARTS))
    town.hear("photo.1", day, *edited(edit), base=base)
    assert town.hear("photo.1", day, *edited(edit), base=base).kinds().isna().all()


@examples
@given(
    first=of_each(values),
    second=of_each(values),
    has_base=st.booleans(),
    ranks=st.sampled_from([{}, {"*": ("photo", "planning")}, {"name": ("planning", "photo")}]),
)
def test_the_order_in_which_two_sources_are_heard_does_not_matter(
    points: Any,
    first: list[Row],
    second: list[Row],
    has_base: bool,
    ranks: dict[str, tuple[str, ...]],
) -> None:
    said = [
        ("photo.1", "2024-02-01", edited(first)),
        ("planning.2", "2024-03-01", edited(second)),
    ]
    # without a base, a value that a source only repeats would be its word too
    absent = () if has_base else ("floors",)
    after = []
    for order in (said, said[::-1]):
        town = Town(points, Released(points, STARTS), Reconciling(authority=ranks))
        for delivery, day, rows in order:
            town.hear(delivery, day, *rows, base=1 if has_base else None, without=absent)
        after.append(states(town))
    assert after[0] == after[1]
