"""Match by shape what no name and no place decided."""

import numpy as np
import pandas as pd

from cityframe.config.reconciling import GEOMETRY
from cityframe.core.displacement import Flags, Geometries
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import Evidence
from cityframe.core.matching.shapes import match_shapes
from cityframe.model.lineage import LineageKind
from cityframe.model.question import QuestionKind
from cityframe.reconcile.cascade import Matches, MayPair
from cityframe.reconcile.coverage import inside
from cityframe.reconcile.current import CurrentLayer
from cityframe.reconcile.records import Records
from cityframe.reconcile.setting import Setting
from cityframe.reconcile.shapes import EVENT_COLUMNS, ShapeOutcome, Sides, interpret, no_outcome


def shape_pass(
    current: CurrentLayer, index: pd.DataFrame, records: Records, matches: Matches, setting: Setting
) -> ShapeOutcome:
    """Look at the records and features that are left.

    Returns
    -------
    ShapeOutcome
        Nothing where nothing is left on one side.
    """
    may = MayPair(index, records, setting.constraints, setting.feed.matching.keys)
    asked = np.flatnonzero(
        matches.is_open(records) & (records.frame["operation"] != "delete").to_numpy()
    )
    offered = np.flatnonzero(~matches.features_seen(len(index)))
    asked, offered = may.lists(asked, offered)
    if not len(asked) or not len(offered) or not records.has_geometry:
        return no_outcome()
    before = current.rows(index["uid"].iloc[offered].tolist())
    after = records.frame.iloc[asked].reset_index(drop=True)
    sides = Sides(
        current=offered,
        incoming=asked,
        before=before.geometry.to_numpy(),
        after=after.geometry.to_numpy(),
        is_gone=_goes(before.geometry.to_numpy(), setting),
    )
    keys = index["key"].iloc[offered], records.key.iloc[asked]
    kind, tolerance = setting.layer.geometry, setting.tolerance
    found = match_shapes(
        sides.before,
        sides.after,
        kind,
        tolerance,
        evidence=_evidence(before, after, keys, setting),
        reach_m=setting.feed.matching.reach_m,
        scorer=setting.scorer,
    )
    links = sides.links(found, kind, tolerance)
    allowed = may.only(links)
    if len(allowed) < len(links):
        links = sides.links(Correspondence.of(allowed), kind, tolerance)
    links = _as_they_may_be(links, records)
    links = _without_authority(links, current, index, setting)
    return _as_answered(interpret(links, kind, setting.rules), links, records, setting)


def _goes(geometry: Geometries, setting: Setting) -> Flags:
    """Tell which features go if no record speaks of them."""
    if setting.infers_absence and setting.area is not None:
        return inside(geometry, setting.area, setting.tolerance)
    return np.full(len(geometry), setting.infers_absence)


def _evidence(
    before: pd.DataFrame, after: pd.DataFrame, keys: tuple[pd.Series, pd.Series], setting: Setting
) -> Evidence:
    rules, names = setting.rules, None
    if rules.name and rules.name in after.columns:
        names = (before[rules.name], after[rules.name])
    exact = [name for name in rules.exact if name in after.columns]
    columns = [{name: side[name] for name in exact} for side in (before, after)]
    if setting.feed.matching.keys == "strict" and setting.layer.key:
        for side, key in zip(columns, keys, strict=True):
            side["key of the layer"] = key.reset_index(drop=True)
    if not columns[0]:
        return Evidence(names=names)
    return Evidence(names=names, exact=(pd.DataFrame(columns[0]), pd.DataFrame(columns[1])))


def _as_they_may_be(links: pd.DataFrame, records: Records) -> pd.DataFrame:
    """Tell which records may be new, and take links of those returned before for unsure.

    Nothing comes of a returned record, so nothing may go for its sake.
    """
    incoming = links["incoming"].to_numpy(dtype=np.intp)
    is_update = (records.frame["operation"].iloc[incoming] == "update").to_numpy()
    return links.assign(
        may_be_new=~is_update, is_sure=links["is_sure"] & ~records.is_held[incoming]
    )


def _without_authority(
    links: pd.DataFrame, current: CurrentLayer, index: pd.DataFrame, setting: Setting
) -> pd.DataFrame:
    """Take groups of several for unsure if the source may not say where a feature of them lies.

    Else the part that keeps the uid would keep its outline too, beside or over the others. With a
    base the source need not be an authority: then it counts who changed something.
    """
    authorities = setting.rules.authorities(GEOMETRY)
    has_several = links["group"].duplicated(keep=False).to_numpy()
    if authorities is None or setting.base is not None or not has_several.any():
        return links
    uids = index["uid"].iloc[links["current"]].reset_index(drop=True)
    origins = current.origins(uids[has_several].unique().tolist())
    of_geometry = origins[origins["attribute"] == GEOMETRY].set_index("uid")["source"]
    rank = {source: place for place, source in enumerate(authorities)}
    said_by, own = uids.map(of_geometry), setting.delivery.source
    is_lower = rank.get(own, len(rank)) >= said_by.map(rank).fillna(len(rank))
    is_refused = (is_lower & (said_by != own)).to_numpy() & has_several
    return links.assign(is_sure=links["is_sure"] & ~is_refused)


def _as_answered(
    outcome: ShapeOutcome, links: pd.DataFrame, records: Records, setting: Setting
) -> ShapeOutcome:
    """Let the records of complex groups stand in place of the features where a person said so."""
    asked = outcome.candidates[outcome.candidates["kind"] == QuestionKind.COMPLEX.value]
    if not setting.constraints.replaced or asked.empty:
        return outcome
    may_be_new = links.groupby("group")["may_be_new"].all()
    answered = [
        group
        for group, part in asked.groupby("group")
        if may_be_new[group]
        and setting.constraints.is_replaced(
            setting.layer.name, setting.delivery.source, records.subject.iloc[part["incoming"]]
        )
    ]
    told = links[links["group"].isin(answered)]
    events = told.assign(event=LineageKind.REPLACED.value, share=told["of_before"])
    is_answered = outcome.candidates["group"].isin(answered)
    return ShapeOutcome(
        pairs=outcome.pairs,
        events=pd.concat([outcome.events, events[list(EVENT_COLUMNS)]], ignore_index=True),
        candidates=outcome.candidates[~is_answered],
    )
