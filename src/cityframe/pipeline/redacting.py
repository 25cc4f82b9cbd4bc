"""Redact: clear attributes of features in all of history, on order of a decision."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cityframe.errors import DeclarationError
from cityframe.model.release import Release, ReleaseKind
from cityframe.pipeline.city import City
from cityframe.pipeline.decisions import require_approver
from cityframe.pipeline.recalling import recalls
from cityframe.pipeline.releasing import note_missing_releases
from cityframe.store.redaction import RedactionPlan, forget, plan_redaction, redact

REDACTED = "redacted"
_PACKAGE = re.compile(r"release-(?P<number>\d{4,})-")


@dataclass(frozen=True)
class Leftovers:
    """Where the values may still be, outside of the framework.

    Attributes
    ----------
    packages : tuple of Path
        Built from releases before the redaction; subscribers have them too.
    deliveries : tuple of str
        Landed bytes that brought the rows.
    cycles : tuple of str
        Cycles whose candidate, working files or report hold the features.
    """

    packages: tuple[Path, ...]
    deliveries: tuple[str, ...]
    cycles: tuple[str, ...]


def plan(city: City, layer: str, uids: Sequence[str], attributes: Sequence[str]) -> RedactionPlan:
    """Return what a redaction would do; see `cityframe.store.redaction.plan_redaction`."""
    return plan_redaction(city.framework, layer, uids, attributes)


def carry_out(
    city: City, planned: RedactionPlan, *, who: str, decision: str, at: dt.datetime
) -> Release:
    """Make a planned redaction the next release, and let the home forget the values.

    What a killed run left is completed by the same call again.

    Parameters
    ----------
    city : City
        The city.
    planned : RedactionPlan
        Made over the newest release.
    who, decision : str
        An approver of a series, and the decision (its number, its reason). Both are kept for ever
        and go to subscribers: no personal data.
    at : datetime
        The release's time.

    Raises
    ------
    GateClosedError
        If ``who`` approves no cycle, there is no decision, or another release came in between.
    DeclarationError
        If there is nothing to clear.
    SourceUnreachableError
        If another writer holds the store, or a reader does while the values are forgotten.
    """
    what = f"redaction of layer {planned.layer.name}"
    require_approver(city, who, decision, what=what, option="--decision")
    if planned.has_values:
        taken = {
            "who": who,
            "when": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "what": REDACTED,
            "why": decision,
            "candidate_digest": planned.digest,
        }
        body = {
            **taken,
            "layer": planned.layer.name,
            "uids": list(planned.uids),
            "attributes": list(planned.attributes),
        }
        entry = city.ledger.append(REDACTED, planned.cycle, body, who=who, at=at)
        evidence = {
            "decisions": [taken], "ledger_entry": entry.hash, "recalls": recalls(city),
        }  # fmt: skip
        made = redact(city.framework, planned, decision=decision, evidence=evidence, at=at)
    else:
        made = _last_of(city, planned)
    note_missing_releases(city)
    forget(city.framework, planned.layer)
    return made


def leftovers(city: City, planned: RedactionPlan) -> Leftovers:
    """Return where the values may still be, for the bureau to prune.

    Exports, backups and copies at subscribers are beyond the store's knowledge.
    """
    current = city.framework.current()
    newest = current.number if current else 0
    before = newest - 1 if current and current.kind is ReleaseKind.REDACTION else newest
    packages = [
        path
        for path in sorted((city.workspace.store / "packages").glob("release-*"))
        if (match := _PACKAGE.match(path.name)) and int(match["number"]) <= before
    ]
    deliveries = [
        one
        for one in planned.deliveries
        if (city.archive.root / one.partition(".")[0] / one).is_dir()
        and not city.archive.is_pruned(one)
    ]
    return Leftovers(
        packages=tuple(packages),
        deliveries=tuple(deliveries),
        cycles=tuple(sorted(set(_cycles(city, planned)))),
    )


def _cycles(city: City, planned: RedactionPlan) -> Iterator[str]:
    for folder in sorted((city.workspace.store / "cycles").glob("*/")):
        for ending in ("parquet", "provenance.parquet"):
            candidate = folder / "candidate" / f"{planned.layer.name}.{ending}"
            if candidate.exists():
                uids = pq.read_table(candidate, columns=["uid"]).column("uid")
                if set(planned.uids).intersection(pc.unique(uids).to_pylist()):
                    yield folder.name
        for delivery in planned.deliveries:
            if any((folder / "deliveries" / delivery).glob("*.parquet")):
                yield folder.name


def _last_of(city: City, planned: RedactionPlan) -> Release:
    """Return the redaction that cleared these values, or refuse: there was none."""
    wanted = set(planned.uids)
    for made in reversed(city.framework.releases()):
        if made.kind is ReleaseKind.REDACTION:
            cleared = {
                one["uid"]
                for one in city.framework.redactions(made.number)
                if one["layer"] == planned.layer.name
                and set(planned.attributes) <= set(one["attributes"])
            }
            if wanted & cleared:
                return made
    raise DeclarationError(
        where=f"layer {planned.layer.name}",
        found=f"no value of {', '.join(planned.attributes)} in these features",
        expected="a value to clear",
    )
