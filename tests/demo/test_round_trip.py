"""The whole pipeline finds in a generated city what the truth says, and nothing else."""

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from cityframe.core.frames import key_text
from cityframe.demo import compare, read_truth
from cityframe.pipeline.city import open_city
from cityframe.pipeline.cycle import run_cycle
from cityframe.pipeline.pull import pull
from cityframe.pipeline.staging import candidate_of
from cityframe.store.candidate import read_changes_in_effect

ROOT = Path(__file__).parents[2]


class Framework:
    """The framework of a generated city, delivery by delivery."""

    def __init__(self, feeds: Path) -> None:
        self.feeds = feeds
        self._keys: dict[str, str] = {}

    def take_in(self, number: int, monkeypatch: pytest.MonkeyPatch) -> str:
        """Run a cycle over a delivery and return its id; sensor values need a broker."""
        monkeypatch.setenv("CITYFRAME_DEMO_FEEDS", str(self.feeds / f"delivery_{number}"))
        self.city = open_city(ROOT)
        for source in self.city.workspace.sources:
            if source != "sensor_values":
                assert pull(self.city, source).is_new
        outcome = run_cycle(self.city, "monthly", approver="chief", reason="as the truth says")
        assert outcome.quarantined == ()
        assert outcome.release == number
        assert outcome.cycle is not None
        return outcome.cycle

    def changes(self, cycle: str) -> pd.DataFrame:
        candidate = candidate_of(self.city, cycle)
        parts = []
        for name in candidate.layers:
            layer = self.city.workspace.layer(name)
            rows = read_changes_in_effect(candidate, layer)
            key = key_text(rows, layer.key)
            self._keys |= dict(zip(rows["uid"], key, strict=True))
            columns = rows[["change", "has_new_attributes"]]
            parts.append(pd.DataFrame({**columns, "layer": name, "key": key}))
        return pd.concat(parts)

    def findings(self, cycle: str) -> pd.DataFrame:
        paths = sorted(self.city.cycle_folder(cycle).rglob("*.findings.parquet"))
        found = pd.concat([pd.DataFrame(gpd.read_parquet(path)) for path in paths])
        key = found["source_key"].where(found["source_key"] != "", found["uid"].map(self._keys))
        others = [
            ",".join(self._keys.get(one, one) for one in text.split(",")) for text in found["other"]
        ]
        return found.assign(source_key=key.fillna(""), other=others)


@pytest.fixture
def framework(city, tmp_path, monkeypatch):
    monkeypatch.setenv("CITYFRAME_DEMO_STORE", str(tmp_path / "store"))
    return Framework(city.folder)


def test_the_pipeline_finds_what_is_true_and_nothing_else(framework, city, monkeypatch):
    first = framework.take_in(1, monkeypatch)
    changes = framework.changes(first)
    assert set(changes["change"]) == {"new"}
    counts = changes.groupby("layer").size().to_dict()
    assert counts == dict(city.manifest.deliveries[0].features)
    assert framework.findings(first).empty

    second = framework.take_in(2, monkeypatch)
    truth = read_truth(city.folder / "delivery_2" / "truth.jsonl")
    table = compare(truth, framework.changes(second), framework.findings(second))
    assert table.missed == ()
    assert table.invented == ()
    assert sum(row.found for row in table.changes) == len(truth.changes) > 100
    assert sum(row.found for row in table.rules) == len(truth.defects) > 60
