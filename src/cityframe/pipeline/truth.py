"""Hold a cycle's outcome against the truth that the demo city's generator wrote."""

from pathlib import Path

import pandas as pd

from cityframe.core.frames import key_text
from cityframe.demo import TruthTable, compare, read_truth
from cityframe.pipeline.city import City
from cityframe.pipeline.reporting import findings_by_layer
from cityframe.pipeline.staging import candidate_frames, candidate_of
from cityframe.store.candidate import read_changes_in_effect


def truth_of_cycle(city: City, cycle: str, truth: Path) -> TruthTable:
    """Compare the changes and findings of a cycle with a truth file.

    Parameters
    ----------
    city : City
        The demo city.
    cycle : str
        A cycle that took in one delivery of each of its sources.
    truth : Path
        ``truth.jsonl`` of that delivery.
    """
    findings = [
        _with_keys(city, cycle, name, frame)
        for name, frame in findings_by_layer(city, cycle).items()
    ]
    empty = pd.DataFrame({"rule": [], "layer": [], "source_key": [], "other": []}, dtype="str")
    return compare(read_truth(truth), cycle_changes(city, cycle), pd.concat([empty, *findings]))


def _with_keys(city: City, cycle: str, name: str, findings: pd.DataFrame) -> pd.DataFrame:
    """Return findings whose ``other`` has keys where a check of the candidate has uids."""
    layer = city.workspace.layer(name)
    features = candidate_frames(city, candidate_of(city, cycle))(name)
    key_of = dict(zip(features["uid"], key_text(features, layer.key), strict=True))
    other = [
        ",".join(str(key_of.get(one, one)) for one in text.split(",")) for text in findings["other"]
    ]
    return findings[["rule", "layer", "source_key"]].assign(other=other)


def cycle_changes(city: City, cycle: str) -> pd.DataFrame:
    """Return ``layer, key, change, has_new_attributes`` of all features that a cycle changes."""
    candidate = candidate_of(city, cycle)
    parts = []
    for name in candidate.layers:
        layer = city.workspace.layer(name)
        frame = read_changes_in_effect(candidate, layer)
        parts.append(
            pd.DataFrame(
                {
                    "layer": name,
                    "key": key_text(frame, layer.key),
                    "change": frame["change"],
                    "has_new_attributes": frame["has_new_attributes"],
                }
            )
        )
    columns = ["layer", "key", "change", "has_new_attributes"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
