"""How much of a candidate must be checked: all of it, or what changed since the check before.

::

    a full check is made                              else
    where no release is there yet                     what changed since the candidate of the
    where the rules, the contracts or the program     newest release is checked again, and the
    are others than then                              findings of the rest are kept
    where the findings of then were pruned
    where the newest release is not what was
    checked (roll-back, redaction, moved)
    where so many cycles in a row were incremental
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cityframe import __version__
from cityframe.core.findings import empty_findings
from cityframe.model.layer import Layer
from cityframe.model.report import RuleStatus
from cityframe.pipeline.city import City
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.rules.since import LayerChange, Since
from cityframe.store.candidate import Candidate, read_candidate, read_light
from cityframe.store.chain import sha256
from cityframe.store.contract import write as contract_text
from cityframe.store.pruned import read_note

FULL, INCREMENTAL = "full", "incremental"


@dataclass(frozen=True, slots=True)
class CheckBasis:
    """How far a check goes and why.

    Attributes
    ----------
    extent : str
        ``full`` or ``incremental``.
    why : str
        In words, for the report.
    since_full : int
        How many incremental checks were made since the last full one, this one included.
    folder : Path or None
        The candidate whose findings are kept; None for a full check.
    changed : mapping of str to LayerChange
        What changed since, by layer.
    """

    extent: str
    why: str
    since_full: int = 0
    folder: Path | None = None
    changed: Mapping[str, LayerChange] | None = None

    def since(self, layer: Layer) -> Since | None:
        """Return what a layer's check may keep; None for a full check."""
        if self.folder is None:
            return None
        path = self.folder / f"{layer.name}.findings.parquet"
        found = read_frame(path) if path.exists() else empty_findings(layer.crs)
        return Since(findings=found, changed=self.changed or {})


def conditions(city: City) -> dict[str, Any]:
    """Return what two checks must have in common for one to build on the other."""
    return {
        "program": __version__,
        "rule_set_digest": city.workspace.rule_set_digest(),
        "contracts": {
            name: sha256(contract_text(layer)) for name, layer in city.workspace.layers.items()
        },
    }


def check_basis(city: City, candidate: Candidate, check_file: str, full_every: int) -> CheckBasis:
    """Say how far the check of a candidate must go.

    Parameters
    ----------
    candidate : Candidate
        Over the newest release.
    check_file : str
        Name of the file beside a candidate that holds the results of its check.
    full_every : int
        Every so many checks one is full; 1 for each of them.
    """
    if full_every == 1:
        return CheckBasis(FULL, "the series checks in full each time")
    current = city.framework.current()
    if current is None or candidate.parent != current.number:
        return CheckBasis(FULL, "there is no release to build on")
    folder = city.cycle_folder(current.cycle) / "candidate"
    path = folder / check_file
    if not path.exists():
        return CheckBasis(FULL, f"release {current.number} was not made by a checked cycle")
    if read_note(folder) is not None:
        return CheckBasis(FULL, f"the findings of {current.cycle} were pruned")
    base, data = read_candidate(folder), json.loads(path.read_text(encoding="utf-8"))
    is_released = base.digest == current.evidence.get("candidate_digest")
    if not is_released or base.parent != current.number - 1:
        return CheckBasis(FULL, f"release {current.number} is not what {current.cycle} checked")
    why = _why_not_comparable(city, data)
    since_full = int(data.get("since_full", 0)) + 1
    if not why and since_full >= full_every:
        why = f"{since_full - 1} checks in a row were incremental"
    if why:
        return CheckBasis(FULL, why)
    return CheckBasis(
        INCREMENTAL,
        f"what changed since {current.cycle}",
        since_full=since_full,
        folder=folder,
        changed=_changed(city, candidate),
    )


def _why_not_comparable(city: City, data: Mapping[str, Any]) -> str:
    """Return what differs between the check before and this one; empty for nothing."""
    if data.get("conditions") != conditions(city):
        return "rules, contracts or program have changed"
    if any(one["status"] == RuleStatus.NOT_CHECKED for one in data["results"]):
        return "a rule could not be checked the time before"
    return ""


def _changed(city: City, candidate: Candidate) -> dict[str, LayerChange]:
    """Return the features that a candidate changes or that fall due with it, by layer."""
    changed: dict[str, LayerChange] = {}
    current = city.framework.current()
    for name, layer in city.workspace.layers.items():
        if current is None or name not in candidate.layers:
            continue
        due = city.framework.due_uids(layer, current.valid_at, candidate.valid_at)
        uids = pd.Index(read_light(candidate, name)["uid"]).union(pd.Index(due, dtype="str"))
        before = city.framework.states_of(layer, uids.tolist(), current.number)
        changed[name] = LayerChange(
            uids=frozenset(uids), before=np.asarray(before.geometry, dtype=object)
        )
    return changed
