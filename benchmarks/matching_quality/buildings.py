"""Buildings of three surveys against pairs that people judged.

Places are halved by region: thresholds were chosen on one half, the figures that count are those
of the other. Components are those of the judged matches against those of the links among judged
pairs: found if exactly the same pairs are linked. What falls outside the judged pairs is unknown.
"""

from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
import pandas as pd

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Flags
from cityframe.core.matching.correspondence import components
from cityframe.core.matching.learned import Scorer
from cityframe.core.matching.polygons import HALF, match_polygons
from cityframe.pipeline.judged_pairs import Judged, Side, judged_pairs, read_pairs, read_side
from cityframe.pipeline.match_training import held_out
from matching_quality.figures import DATA, Figure, Targets, pair_figures

SECTION = "buildings"
FILE, PAIRS = DATA / "matching" / "buildings.gpkg", DATA / "matching" / "buildings_pairs.csv"
TOLERANCE = Tolerance.between(2.0, 2.0)
"""All three were drawn from imagery, whose own accuracy is about 2 m."""

RULE = Targets(f1=0.98, questions=0.02)
LEARNED = Targets(f1=0.995, questions=0.01, errors=0.005)
N_TO_M = 0.65
SURVEYS = ("gov", "osm", "msft")

# ids start with the code of the region and the name of the survey: ES511_osm_73421
_REGION = 5
_KEY = ["id_existing", "id_new"]


@dataclass(frozen=True)
class Links:
    """Links by name: ``id_existing``, ``id_new``, ``score``, ``is_sure``."""

    table: pd.DataFrame

    def of(self, pairs: pd.DataFrame) -> tuple[Flags, Flags]:
        """Return which pairs are linked, and which are questions."""
        found = pairs[_KEY].merge(self.table, on=_KEY, how="left")
        is_found = found["score"].notna().to_numpy()
        is_question = is_found & ~found["is_sure"].eq(True).to_numpy()
        return is_found, is_question


def report() -> list[Figure]:
    """Return the figures of the rule and of the learned scorer."""
    sides = [read_side(f"{FILE}:{name}", "fid_src", "neighborhood") for name in SURVEYS]
    surveys = list(combinations(sides, 2))
    judged = judged_pairs(read_pairs(PAIRS), surveys, TOLERANCE, skip_unknown=True)
    figures = []
    links = Links(pd.concat([_links(*survey, None) for survey in surveys]))
    pairs = judged.pairs.reset_index(drop=True)
    region = pairs["id_existing"].str[:_REGION]
    is_tuning = region.map(lambda name: blake2b(name.encode()).digest()[0] % 2 == 0).to_numpy()
    for what, rows in (
        ("all places", np.ones(len(pairs), dtype=bool)),
        ("places tuned on", is_tuning),
        ("other places", ~is_tuning),
    ):
        own = pairs[rows].reset_index(drop=True)
        linked, question = links.of(own)
        flags = own["match"].to_numpy(), linked, question
        figures += pair_figures(SECTION, f"rule, {what}", flags, RULE)
        figures += _component_figures(f"rule, {what}", own, linked)
    return figures + _learned_figures(judged, surveys)


def _learned_figures(judged: Judged, surveys: list[tuple[Side, Side]]) -> list[Figure]:
    """Return the figures of scorers, each on the places that it was not trained on."""
    pairs = judged.pairs.reset_index(drop=True)
    linked, question = np.zeros((2, len(pairs)), dtype=bool)
    for scorer, rows in held_out(pairs):
        own = pairs[rows]
        regions = set(own["id_existing"].str[:_REGION])
        near = [(_within(old, regions), _within(new, regions)) for old, new in surveys]
        links = Links(pd.concat([_links(old, new, scorer) for old, new in near]))
        linked[rows], question[rows] = links.of(own)
        proposed = own[_KEY].merge(links.table, on=_KEY, how="left")["score"].to_numpy()
        linked[rows] &= np.nan_to_num(proposed) > HALF
    what = "learned, places not trained on"
    flags = pairs["match"].to_numpy(), linked, question
    figures = pair_figures(SECTION, what, flags, LEARNED)
    return figures + _component_figures(what, pairs, linked)


def _links(before: Side, after: Side, scorer: Scorer | None) -> pd.DataFrame:
    links = match_polygons(before.geometry, after.geometry, TOLERANCE, scorer=scorer).links
    return pd.DataFrame(
        {
            "id_existing": before.ids.to_numpy()[links["before"]],
            "id_new": after.ids.to_numpy()[links["after"]],
            "score": links["score"],
            "is_sure": links["is_sure"],
        }
    )


def _within(side: Side, regions: set[str]) -> Side:
    """Return what of a survey lies in some regions."""
    rows = side.ids.str[:_REGION].isin(regions).to_numpy()
    return Side(side.name, side.ids[rows], side.places[rows], side.geometry[rows], side.crs)


def _component_figures(what: str, pairs: pd.DataFrame, linked: Flags) -> list[Figure]:
    """Return the share of judged components that the links give exactly, by their kind."""
    truth = _components(pairs[pairs["match"]])
    found = set(_components(pairs[linked])["pairs"])
    truth["is_found"] = truth["pairs"].isin(found)
    figures = []
    for kind in ("1:1", "1:n", "n:1", "n:m"):
        own = truth.loc[truth["kind"] == kind, "is_found"]
        target = N_TO_M if kind == "n:m" else None
        figures.append(
            Figure(SECTION, f"{what}: exact {kind}", float(own.mean()), len(own), at_least=target)
        )
    return figures


def _components(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return ``kind`` and ``pairs`` (a set of row labels) of each connected component."""
    # one id may be judged against two surveys: what it is compared with tells them apart
    survey = pairs["id_existing"].map(_survey) + pairs["id_new"].map(_survey)
    ends = [pd.factorize(survey + pairs[name])[0] for name in _KEY]
    group = components(ends[0].astype(np.intp), ends[1].astype(np.intp))
    ends_by_row = pd.DataFrame({"before": ends[0], "after": ends[1], "row": pairs.index})
    grouped = ends_by_row.groupby(group)
    counts = grouped.agg(before=("before", "nunique"), after=("after", "nunique"))
    one_before, one_after = counts["before"] == 1, counts["after"] == 1
    kind = np.select(
        [one_before & one_after, one_before, one_after], ["1:1", "1:n", "n:1"], default="n:m"
    )
    return pd.DataFrame({"kind": kind, "pairs": grouped["row"].agg(frozenset)})


def _survey(name: str) -> str:
    return name.split("_")[1]
