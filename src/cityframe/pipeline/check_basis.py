"""How much of a candidate must be checked: all of it, or what changed since the check before.

::

    a full check is made                              else
    where no release is there yet                     what changed since the candidate of the
    where the rules, the contracts or the program     newest release is checked again, and the
    are others than then                              findings of the rest are kept
    where the findings of then were pruned
    or are not those that the check left
    where the newest release is not what was
    checked (roll-back, redaction, moved)
    where so many cycles in a row were incremental
"""

import hashlib
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
from cityframe.model.text import Title
from cityframe.pipeline.city import City
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.rules.checking.since import LayerChange, Since
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
    why : Title
        In words, for the report.
    since_full : int
        How many incremental checks were made since the last full one, this one included.
    folder : Path or None
        The candidate whose findings are kept; None for a full check.
    changed : mapping of str to LayerChange
        What changed since, by layer.
    """

    extent: str
    why: Title
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


def findings_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file with findings of a candidate, by its name."""
    paths = sorted(folder.glob("*.findings.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


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
        return CheckBasis(FULL, Title("该系列每次全量检查", "the series checks in full each time"))
    current = city.framework.current()
    if current is None or candidate.parent != current.number:
        return CheckBasis(FULL, Title("尚无可依据的版本", "there is no release to build on"))
    folder = city.cycle_folder(current.cycle) / "candidate"
    path = folder / check_file
    if not path.exists():
        return CheckBasis(FULL, _by_no_check(current.number))
    if read_note(folder) is not None:
        why = Title(f"{current.cycle} 的问题已清理", f"the findings of {current.cycle} were pruned")
        return CheckBasis(FULL, why)
    base, data = read_candidate(folder), json.loads(path.read_text(encoding="utf-8"))
    if data.get("findings") != findings_digests(folder):
        why = Title(
            f"{current.cycle} 的问题文件与其检查不符",
            f"the findings of {current.cycle} are not those that its check left",
        )
        return CheckBasis(FULL, why)
    is_released = base.digest == current.evidence.get("candidate_digest")
    if not is_released or base.parent != current.number - 1:
        return CheckBasis(FULL, _by_no_check(current.number))
    since_full = int(data.get("since_full", 0)) + 1
    obstacle = _obstacle(city, data)
    if obstacle is None and since_full >= full_every:
        obstacle = Title(
            f"已连续 {since_full - 1} 次增量检查",
            f"{since_full - 1} checks in a row were incremental",
        )
    if obstacle is not None:
        return CheckBasis(FULL, obstacle)
    return CheckBasis(
        INCREMENTAL,
        Title(f"自 {current.cycle} 以来的变化", f"what changed since {current.cycle}"),
        since_full=since_full,
        folder=folder,
        changed=_changed(city, candidate),
    )


def _by_no_check(release: int) -> Title:
    return Title(
        f"版本 {release} 与已检查的候选不一致", f"release {release} is not what a cycle checked"
    )


def _obstacle(city: City, data: Mapping[str, Any]) -> Title | None:
    """Return why a check can't build on the one before, or None."""
    if data.get("conditions") != conditions(city):
        return Title("规则、约定或程序已变更", "rules, contracts or program have changed")
    if any(one["status"] == RuleStatus.NOT_CHECKED for one in data["results"]):
        return Title("上次有规则未能检查", "a rule could not be checked the time before")
    return None


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
