"""The findings of a cycle against the cycles before: new, persisting, come back, fixed."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import pandas as pd

from cityframe.core.findings import concat_findings, empty_findings
from cityframe.model.cycle import CycleState
from cityframe.model.finding import FindingState
from cityframe.model.report import RuleResult
from cityframe.pipeline.city import City
from cityframe.pipeline.frames_on_disk import read_frame, write_frame
from cityframe.pipeline.looks import Look, looks
from cityframe.pipeline.plan import cycle_state, cycles_of, read_plan
from cityframe.store.finding_register import (
    EVENT_COLUMNS,
    FIXED,
    KEY,
    OPENED,
    NotedCycle,
)


def note_findings(city: City, cycle: str, results: Sequence[RuleResult]) -> None:
    """Give a cycle's findings their state, list what it fixed, and note both in the register.

    Findings are compared with the cycles before of the same series only. Those that are fixed
    stand in ``LAYER.fixed.parquet`` beside the candidate's findings. Running it again gives the
    same.

    Parameters
    ----------
    results : sequence of RuleResult
        Of the candidate.
    """
    before = _cycles_before(city, cycle)
    known = city.findings.known([NotedCycle(one, _is_returned(city, one)) for one in before])
    now_open = known[known["is_open"]]
    events = [pd.DataFrame(columns=list(EVENT_COLUMNS))]
    for look in looks(city, cycle, results):
        opened, fixed = _events(look, now_open)
        events += [opened, fixed]
        now_open = pd.concat([now_open.drop(fixed.index), opened], ignore_index=True)
        _write_states(look, known, cycle)
    is_still = pd.MultiIndex.from_frame(known[KEY]).isin(pd.MultiIndex.from_frame(now_open[KEY]))
    _write_fixed(city, cycle, before, known[known["is_open"] & ~is_still])
    filled = [part for part in events if len(part)] or events[:1]
    city.findings.write(cycle, pd.concat(filled, ignore_index=True))


def _cycles_before(city: City, cycle: str) -> list[str]:
    names = [entry.subject for entry in cycles_of(city, read_plan(city, cycle).series)]
    return names[: names.index(cycle)]


def _is_returned(city: City, cycle: str) -> bool:
    return cycle_state(city, cycle) is CycleState.RETURNED


def _events(look: Look, now_open: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a look opened and what it fixed; the latter with the index of ``now_open``."""
    mine = now_open[now_open["looked_by"] == look.looked_by]
    met = look.met.drop_duplicates("finding_id").assign(looked_by=look.looked_by, event=OPENED)
    opened = met.loc[~met["finding_id"].isin(mine["finding_id"]), list(EVENT_COLUMNS)]
    fixed = now_open.loc[look.passed(now_open), list(EVENT_COLUMNS)].assign(event=FIXED)
    return opened, fixed


def _write_states(look: Look, known: pd.DataFrame, cycle: str) -> None:
    mine = known[known["looked_by"] == look.looked_by].set_index("finding_id")
    for path in look.files:
        frame = read_frame(path)
        if frame.empty:
            continue
        is_open = frame["finding_id"].map(mine["is_open"])
        words = {True: FindingState.PERSISTING.value, False: FindingState.COME_BACK.value}
        state = is_open.map(words).astype("str").fillna(FindingState.NEW.value)
        first = frame["finding_id"].map(mine["first_seen"]).astype("str").fillna(cycle)
        write_frame(
            path,
            frame.assign(state=state, first_seen=first),
        )


def _write_fixed(city: City, cycle: str, before: Sequence[str], fixed: pd.DataFrame) -> None:
    folder = city.cycle_folder(cycle) / "candidate"
    for name, mine in fixed.groupby("layer", sort=True):
        if name in city.workspace.layers:
            crs = city.workspace.layer(str(name)).crs
            frame = _as_they_were(city, str(name), before, mine, crs)
            write_frame(folder / f"{name}.fixed.parquet", frame)


def _as_they_were(
    city: City, layer: str, before: Sequence[str], fixed: pd.DataFrame, crs: str
) -> gpd.GeoDataFrame:
    """Return fixed findings as the last cycle that met them wrote them.

    Of those whose files were pruned only what the register knows is left: no place, no words.
    """
    wanted, parts = fixed.drop(columns=["event", "is_open"]), []
    for cycle in reversed(before):
        for path in _files(city, cycle, layer):
            if wanted.empty:
                break
            found = read_frame(path)
            found = found[found["finding_id"].isin(wanted["finding_id"])]
            looked_by = _looked_by(path)
            found = found[
                found["finding_id"].isin(wanted.loc[wanted["looked_by"] == looked_by, "finding_id"])
            ].drop_duplicates("finding_id")
            parts.append(found)
            is_found = wanted["finding_id"].isin(found["finding_id"])
            wanted = wanted[~(is_found & (wanted["looked_by"] == looked_by))]
    left = empty_findings(crs).reindex(range(len(wanted)))
    for name in set(left.columns).intersection(wanted.columns):
        left[name] = wanted[name].to_numpy()
    texts = [name for name in left.columns if name not in ("record", "geometry")]
    parts.append(gpd.GeoDataFrame(left.fillna(dict.fromkeys(texts, "")), crs=crs))
    every = concat_findings(parts, crs)
    first = fixed.drop_duplicates("finding_id").set_index("finding_id")["first_seen"]
    every["first_seen"] = every["finding_id"].map(first).astype("str")
    return every.assign(state=FindingState.FIXED.value, waiver="")


def _files(city: City, cycle: str, layer: str) -> list[Path]:
    """Return the files of a layer's findings that a cycle still has, newest look first."""
    folder = city.cycle_folder(cycle)
    found = [*folder.glob(f"candidate/{layer}.findings.parquet")]
    found += sorted(folder.glob(f"deliveries/*/[0-9]*-{layer}.findings.parquet"), reverse=True)
    return found


def _looked_by(path: Path) -> str:
    """Return the source of a delivery's findings; empty for those of a candidate."""
    return "" if path.parent.name == "candidate" else path.parent.name.rpartition(".")[0]
