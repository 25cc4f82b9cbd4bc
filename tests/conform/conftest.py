import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from cityframe.config.schema import LayerSchema
from cityframe.config.source import Source
from cityframe.conform import Conformed, conform
from cityframe.core.frames import empty_frame
from cityframe.core.source_table import SourceTable
from cityframe.model.delivery import Delivery
from cityframe.model.layer import Layer

TITLE = {"zh": "测试", "en": "test"}

DELIVERY = Delivery(
    id="office.0123456789abcdef",
    source="office",
    origin="/inbox",
    observed_at="2024-05-01T00:00:00Z",
    landed_at="2024-05-02T00:00:00Z",
    files=(),
    digest="",
)


def make_layer(
    attributes: Mapping[str, Any], *, geometry: str = "none", crs: str = "EPSG:4547", **more: Any
) -> Layer:
    """A layer; an attribute is its type or its declaration without the title."""
    declared = {
        name: {"title": TITLE, **({"type": one} if isinstance(one, str) else one)}
        for name, one in attributes.items()
    }
    schema = {"name": "things", "title": TITLE, "accuracy_m": 0.5, "crs": crs, **more}
    return LayerSchema.model_validate(
        {**schema, "geometry": geometry, "attributes": declared}
    ).layer()


def make_table(
    columns: Mapping[str, Sequence[Any]] | pd.DataFrame,
    *,
    geometry: Sequence[Any] | None = None,
    crs: str | None = None,
    file: str = "things.csv",
    **more: Any,
) -> SourceTable:
    shapes = None
    if geometry is not None:
        shapes = np.empty(len(geometry), dtype=object)
        shapes[:] = list(geometry)
    return SourceTable(
        file=file, table="", frame=pd.DataFrame(columns), geometry=shapes, crs=crs, **more
    )


def make_source(feed: Mapping[str, Any], **more: Any) -> Source:
    declared = {
        "name": "office",
        "title": TITLE,
        "kind": "departmental",
        "delivery": "full",
        "pull": {"type": "files"},
        "crs": "EPSG:4490",
        **more,
    }
    return Source.model_validate({**declared, "feeds": [{"layer": "things", **feed}]})


def run(
    tables: SourceTable | Sequence[SourceTable],
    feed: Mapping[str, Any],
    layer: Layer,
    *,
    framework: Mapping[str, gpd.GeoDataFrame] | None = None,
    root: Path = Path(),
    **source: Any,
) -> Conformed:
    """Conform tables, and hold what holds for every outcome."""
    given = [tables] if isinstance(tables, SourceTable) else list(tables)
    declared = make_source(feed, **source)
    layers = framework or {}
    outcome = conform(
        given,
        source=declared,
        feed=declared.feeds[0],
        layer=layer,
        delivery=DELIVERY,
        framework_layer=lambda name: layers[name],
        root=root,
    )
    assert outcome.records == sum(len(table.frame) for table in given)
    numbers = sorted([*outcome.frame["record"], *outcome.fates["record"]])
    assert numbers == list(range(outcome.records))
    assert outcome.findings["finding_id"].is_unique
    assert outcome.findings.crs == outcome.frame.crs == layer.crs
    _check_chinese(outcome.findings)
    return outcome


def _check_chinese(findings: gpd.GeoDataFrame) -> None:
    """The Chinese texts are Chinese, and have the numbers of the English ones."""
    for name in ("found", "expected"):
        english, chinese = findings[name], findings[f"{name}_zh"]
        numbers = [text.str.findall(r"\d+").map(sorted) for text in (english, chinese)]
        assert numbers[0].tolist() == numbers[1].tolist()
    # the name of a geometry's type is the same in both languages
    sentences = findings.loc[findings["rule"] != "intake.geometry-type", "found_zh"]
    assert sentences.str.contains(r"[\u4e00-\u9fff]").all()


@pytest.fixture(name="make_layer", scope="session")
def _make_layer() -> Callable[..., Layer]:
    return make_layer


@pytest.fixture(name="make_table", scope="session")
def _make_table() -> Callable[..., SourceTable]:
    return make_table


@pytest.fixture(name="run", scope="session")
def _run() -> Callable[..., Conformed]:
    return run


@pytest.fixture(name="found", scope="session")
def _found() -> Callable[..., list[str]]:
    """Texts of the findings of one rule."""

    def found(outcome: Conformed, rule: str) -> list[str]:
        findings = outcome.findings
        return list(findings.loc[findings["rule"] == f"intake.{rule}", "found"])

    return found


@pytest.fixture
def framework_of() -> Callable[..., gpd.GeoDataFrame]:
    """A framework layer: attributes as columns of values, uids u0, u1, …"""

    def framework(
        layer: Layer, values: Mapping[str, Sequence[Any]], geometry: Sequence[Any]
    ) -> gpd.GeoDataFrame:
        frame = empty_frame(layer, ["uid"])
        types = {name: frame[name].dtype for name in values}
        filled = pd.DataFrame(values).astype(types)
        filled.insert(0, "uid", pd.Series([f"u{n}" for n in range(len(filled))], dtype="str"))
        return gpd.GeoDataFrame(filled, geometry=list(geometry), crs=layer.crs)

    return framework


@pytest.fixture(scope="session")
def real_data() -> Path:
    root = Path(__file__).parents[2]
    path = Path(os.environ.get("CITYFRAME_DATA", root.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data in {path}; set CITYFRAME_DATA")
    return path
