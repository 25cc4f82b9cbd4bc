"""Why a feature is as it is: the facts, from the store and the evidence of its releases.

`cityframe.pipeline.explanation_words` puts them into sentences.
"""

import json
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from cityframe.config.reconciling import GEOMETRY
from cityframe.core.frames import key_text
from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer
from cityframe.model.release import Release
from cityframe.model.text import Title
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import source_of
from cityframe.reconcile.disputes import plain_values
from cityframe.store.lineage import Event, ancestors, descendants, layer_of, resolve
from cityframe.store.value_origins import value_origins


class Presence(StrEnum):
    """Whether a release's state has a feature: it is there, not yet, or no more."""

    THERE = "there"
    AHEAD = "ahead"
    ENDED = "ended"


@dataclass(frozen=True)
class Explanation:
    """What is known of a feature as one release had it; everything JSON-ready.

    Attributes
    ----------
    release : int
        The release that is looked at.
    state : mapping
        The row that holds, comes next or held last: ``release`` that brought it, ``made_at``,
        ``cycle``, ``release_kind``, ``change``, ``basis``, ``delivery``, ``source``, ``record``,
        ``valid_from``, ``valid_to``, ``ended_by`` (a delivery), ``ended_in`` (a release),
        ``score``, ``margin``.
    values : tuple of mapping
        Of each attribute: ``attribute, value, source, delivery, observed_at``.
    disputes : tuple of mapping
        Where sources disagreed: ``release, attribute, source, delivery, rule, decided_by`` of
        what counted, ``losers`` (list of ``source, delivery, observed_at, value``).
    decisions, answers, waivers : tuple of mapping
        Of the evidence of the release that brought the state; answers and waivers of the feature.
        Answers also of the release that ended it, and about what it then took the place of.
    ancestors, descendants : tuple of Event
        Up to the release.
    successors : tuple of str
        Where the uid leads today.
    titles : mapping of str to Title
        Of the layer (``""``), its attributes, and sources (``source NAME``).
    """

    uid: str
    layer: str
    key: str
    release: int
    presence: Presence
    state: Mapping[str, Any]
    values: tuple[Mapping[str, Any], ...]
    disputes: tuple[Mapping[str, Any], ...]
    decisions: tuple[Mapping[str, Any], ...]
    answers: tuple[Mapping[str, Any], ...]
    waivers: tuple[Mapping[str, Any], ...]
    ancestors: tuple[Event, ...]
    descendants: tuple[Event, ...]
    successors: tuple[str, ...]
    titles: Mapping[str, Title]

    def as_body(self) -> dict[str, Any]:
        """Return the facts JSON-ready."""
        body = {**asdict(self), "presence": self.presence.value}
        del body["titles"]
        return body


def explain(city: City, uid: str, release: int | None = None) -> Explanation:
    """Return why a feature is as a release has it.

    Parameters
    ----------
    city : City
        The city.
    uid : str
        A feature.
    release : int, optional
        By default the newest one.

    Raises
    ------
    DeclarationError
        If no layer ever had the feature, there is no such release, or it did not know the feature
        yet.
    """
    framework = city.framework
    current = framework.current()
    if current is None:
        raise DeclarationError(
            where=framework.label, found="no release yet", remedy="run a cycle first"
        )
    looked_at = current if release is None else framework.release(release)
    layer = layer_of(framework, uid)
    rows = framework.history(uid)
    row, presence = _row_of(rows, looked_at, uid)
    brought = framework.release(_first_release(rows, row))
    key = key_text(pd.DataFrame([row])[list(layer.key)], layer.key).iloc[0] if layer.key else ""
    noted = framework.provenance(layer, [uid], release=looked_at.number)
    state = _state(row, brought, noted)
    values = _values(city, layer, uid, looked_at, row)
    disputes = _disputes(noted)
    names = {state["source"], source_of(state["ended_by"] or "")}
    names |= {one["source"] for one in (*values, *disputes)}
    names |= {loser["source"] for one in disputes for loser in one["losers"]}
    evidence, came_from = brought.evidence, ancestors(framework, uid)
    given = list(evidence.get("answers", ()))
    if state["ended_in"] is not None and state["ended_in"] != brought.number:
        given += framework.release(state["ended_in"]).evidence.get("answers", ())
    about = {uid} | {one.parent for one in came_from if one.release == brought.number}
    return Explanation(
        uid=uid,
        layer=layer.name,
        key="" if pd.isna(key) else str(key),
        release=looked_at.number,
        presence=presence,
        state=state,
        values=values,
        disputes=disputes,
        decisions=tuple(evidence.get("decisions", ())),
        answers=tuple(
            one for one in given if one["layer"] == layer.name and about & set(one["uids"])
        ),
        waivers=tuple(
            one
            for one in evidence.get("waivers", ())
            if one["layer"] == layer.name and {uid, str(key)} & set(one["features"])
        ),
        ancestors=_until(came_from, looked_at),
        descendants=_until(descendants(framework, uid), looked_at),
        successors=tuple(one for one in resolve(framework, uid).successors if one != uid),
        titles=_titles(city, layer, names),
    )


def _row_of(rows: pd.DataFrame, release: Release, uid: str) -> tuple[dict[Hashable, Any], Presence]:
    """Return the row that a release has of a feature, else the next one, else the last."""
    is_forgotten = (rows["release_to"] <= release.number).fillna(False).astype(bool)
    is_known = (rows["release_from"] <= release.number) & ~is_forgotten
    known = rows[is_known].sort_values("valid_from")
    if known.empty:
        raise DeclarationError(
            where=f"release {release.number}",
            found=f"no feature {uid!r}",
            expected=f"release {int(rows['release_from'].min())} or later, which knows it",
            remedy="see `cityframe history UID` for the releases that knew it",
        )
    moment = pd.Timestamp(release.valid_at)
    has_begun = known["valid_from"] <= moment
    is_over = (known["valid_to"] <= moment).fillna(False).astype(bool)
    present, later = known[has_begun & ~is_over], known[~has_begun]
    if len(present):
        return present.iloc[0].to_dict(), Presence.THERE
    if len(later):
        return later.iloc[0].to_dict(), Presence.AHEAD
    return known.iloc[-1].to_dict(), Presence.ENDED


def _first_release(rows: pd.DataFrame, row: Mapping[Hashable, Any]) -> int:
    """Return the release that brought a state: later ones may only have cut its period."""
    first = int(row["release_from"])
    same = rows[(rows["digest"] == row["digest"]) & (rows["delivery"] == row["delivery"])]
    # a period is only ever cut: what a roll-back opens again is no part of what it had cut
    longer = same["valid_to"].isna()
    if not pd.isna(row["valid_to"]):
        longer |= (same["valid_to"] >= row["valid_to"]).fillna(False).astype(bool)
    closed = same[longer].dropna(subset=["release_to"])[["release_to", "release_from"]]
    before = dict(closed.astype(int).itertuples(index=False))
    while first in before:
        first = before[first]
    return first


def _state(row: Mapping[Hashable, Any], brought: Release, noted: pd.DataFrame) -> dict[str, Any]:
    matches = noted[(noted["attribute"] == "") & (noted["delivery"] == row["delivery"])]
    match = matches.iloc[-1].to_dict() if len(matches) else {}
    names = ("change", "basis", "delivery", "record", "valid_from", "valid_to", "ended_by")
    return {
        "release": brought.number,
        "release_kind": brought.kind.value,
        "made_at": brought.created_at,
        "cycle": brought.cycle,
        **{name: _plain(row[name]) for name in names},
        "ended_in": None if _plain(row["ended_by"]) is None else int(row["release_from"]),
        "source": source_of(str(row["delivery"])),
        "score": _plain(match.get("score")),
        "margin": _plain(match.get("margin")),
    }


def _values(
    city: City, layer: Layer, uid: str, release: Release, row: Mapping[Hashable, Any]
) -> tuple[Mapping[str, Any], ...]:
    found = value_origins(city.framework, layer, [uid], release=release.number)
    one_row = pd.DataFrame([row])
    values = {
        name: _plain(plain_values(one_row, name, np.arange(1), layer).iloc[0])
        for name in layer.attribute_names
        if name in row
    }
    return tuple(
        {
            "attribute": name,
            "value": values.get(name),
            "source": source,
            "delivery": delivery,
            "observed_at": _plain(observed_at),
        }
        for name, source, delivery, observed_at in found[
            ["attribute", "source", "delivery", "observed_at"]
        ].itertuples(index=False)
        if name == GEOMETRY or values.get(name) is not None
    )


def _disputes(noted: pd.DataFrame) -> tuple[Mapping[str, Any], ...]:
    """Return where sources disagreed; of what they say again and again, the last time."""
    about = noted[noted["attribute"] != ""].drop_duplicates(
        ["attribute", "source", "rule", "losers"], keep="last"
    )
    names = ["release", "attribute", "source", "delivery", "rule", "decided_by"]
    told = [
        {**{name: _plain(one[name]) for name in names}, "losers": json.loads(one["losers"] or "[]")}
        for one in about.sort_values(["attribute", "release"]).to_dict(orient="records")
    ]
    return tuple(told)


def _until(events: tuple[Event, ...], release: Release) -> tuple[Event, ...]:
    return tuple(one for one in events if one.release <= release.number)


def _titles(city: City, layer: Layer, sources: set[str]) -> dict[str, Title]:
    titles = {"": layer.title} | {one.name: one.title for one in layer.attributes}
    declared = city.workspace.sources
    return titles | {
        f"source {name}": declared[name].title.title() for name in sources if name in declared
    }


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.item() if hasattr(value, "item") else value
