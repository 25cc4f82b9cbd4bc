"""What a report says of lineage: which features a candidate splits, merges and replaces."""

from collections.abc import Iterator, Mapping
from typing import Any

from cityframe.core.frames import key_text
from cityframe.model.layer import Layer
from cityframe.model.lineage import LINEAGE_TITLES, LineageKind
from cityframe.model.report import Section
from cityframe.model.text import Title
from cityframe.pipeline.city import City
from cityframe.pipeline.current import StoredLayer
from cityframe.pipeline.plan import read_plan, reference_time
from cityframe.store.candidate import Candidate, read_changes_in_effect

_SHOWN = 200
"""Rows in a report; `cityframe history UID` tells the rest."""


def lineage_sections(city: City, cycle: str, candidate: Candidate) -> Iterator[Section]:
    """Yield the events of a candidate, if it has any: a row a feature and what follows it."""
    events = sorted(
        candidate.lineage, key=lambda one: (one["layer"], one["event"], one["parent"], one["child"])
    )
    if not events:
        return
    parents: dict[str, set[tuple[str, str]]] = {}
    for one in events:
        parents.setdefault(str(one["event"]), set()).add((one["layer"], one["parent"]))
    totals = [(LINEAGE_TITLES[LineageKind(kind)], len(those)) for kind, those in parents.items()]
    shown = events[:_SHOWN]
    names = {
        name: _names(city, cycle, candidate, city.workspace.layer(name))
        for name in {str(one["layer"]) for one in shown}
    }
    yield Section(
        id="lineage",
        title=Title("谱系", "Lineage"),
        note=Title(
            "，".join(f"{title.zh} {number} 个要素" for title, number in totals) + "。",
            ", ".join(f"{number} features {title.en}" for title, number in totals) + ".",
        ),
        columns=(
            Title("图层", "layer"), Title("事件", "event"), Title("原要素", "feature before"),
            Title("后继要素", "feature after"), Title("占原要素", "share of the former"),
        ),
        rows=tuple(_row(city, one, names[str(one["layer"])]) for one in shown),
    )  # fmt: skip


def _row(city: City, event: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Title, ...]:
    share = "" if event["share"] is None else f"{event['share']:.1%}"
    return (
        city.workspace.layer(str(event["layer"])).title,
        LINEAGE_TITLES[LineageKind(event["event"])],
        *(_plain(names.get(str(event[side]), event[side])) for side in ("parent", "child")),
        _plain(share),
    )


def _names(city: City, cycle: str, candidate: Candidate, layer: Layer) -> dict[str, str]:
    """Return the key and uid of each feature of the layer's events, by uid."""
    mine = [one for one in candidate.lineage if one["layer"] == layer.name]
    changes = read_changes_in_effect(candidate, layer)
    stored = StoredLayer(city.framework, layer, reference_time(city, read_plan(city, cycle)))
    index = stored.index()
    wanted = {str(one[side]) for one in mine for side in ("parent", "child")}
    before = index[index["uid"].isin(wanted)]
    known = dict(zip(before["uid"], before["key"], strict=True))
    known |= dict(zip(changes["uid"], key_text(changes, layer.key), strict=True))
    return {
        uid: f"{key} ({uid})" if isinstance(key, str) else uid
        for uid, key in known.items()
        if uid in wanted
    }


def _plain(text: object) -> Title:
    return Title(str(text), str(text))
