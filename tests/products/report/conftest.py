"""A made-up district with findings of many kinds, for the tests and for looking at the page."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cityframe.core.findings import findings_frame
from cityframe.model.delivery import Delivery, DeliveryFile
from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.report import (
    Decision,
    DeliveryAccount,
    LayerAccount,
    LayerChanges,
    Report,
    RuleResult,
    RuleStatus,
)
from cityframe.model.text import Title

CRS = "EPSG:4547"
EAST, NORTH = 528_400.0, 3_384_200.0
PARCEL_W, PARCEL_H, ROAD = 32.0, 46.0, 18.0
STREETS = ("建设大道", "沿江路", "人民路", "解放街", "青年路", "科技一路", "文化巷", "滨湖大道")
USES = ("0701", "0702", "0801", "0901", "1001")
MATERIALS = ("球墨铸铁", "PE", "钢", "混凝土")


@dataclass(frozen=True)
class Sample:
    """What `write_report` takes."""

    report: Report
    findings: Mapping[str, gpd.GeoDataFrame]
    features: Mapping[str, gpd.GeoDataFrame]
    context: Mapping[str, gpd.GeoDataFrame]
    layers: Mapping[str, Layer]
    waived: frozenset[str]

    @property
    def arguments(self) -> dict[str, object]:
        """Keyword arguments of `write_report`, but for the report."""
        return {
            "findings": self.findings,
            "features": self.features,
            "context": self.context,
            "layers": self.layers,
            "waived": self.waived,
        }


def _attribute(name: str, kind: AttributeType, zh: str, en: str, unit: str = "") -> Attribute:
    return Attribute(name=name, type=kind, title=Title(zh=zh, en=en), unit=unit)


def _layer(
    name: str, zh: str, en: str, geometry: GeometryType, key: str, *attributes: Attribute
) -> Layer:
    return Layer(
        name=name,
        title=Title(zh=zh, en=en),
        geometry=geometry,
        crs=CRS,
        precision_m=0.001,
        accuracy_m=0.25,
        key=(key,),
        attributes=attributes,
    )


TEXT, REAL, DATE = AttributeType.STRING, AttributeType.REAL, AttributeType.DATE
LAYERS = {
    layer.name: layer
    for layer in (
        _layer(
            "parcel",
            "宗地",
            "Parcels",
            GeometryType.POLYGON,
            "parcel_no",
            _attribute("parcel_no", TEXT, "宗地代码", "Parcel number"),
            _attribute("land_use", TEXT, "土地用途", "Land use"),
            _attribute("registered_area_m2", REAL, "登记面积", "Registered area", "m²"),
            _attribute("owner_kind", TEXT, "权利人类型", "Kind of owner"),
            _attribute("registered_on", DATE, "登记日期", "Registered on"),
        ),
        _layer(
            "building",
            "房屋",
            "Buildings",
            GeometryType.POLYGON,
            "building_no",
            _attribute("building_no", TEXT, "房屋编号", "Building number"),
            _attribute("storeys", AttributeType.INTEGER, "层数", "Storeys"),
            _attribute("structure", TEXT, "结构", "Structure"),
            _attribute("address", TEXT, "坐落", "Address"),
        ),
        _layer(
            "address",
            "门牌地址",
            "Addresses",
            GeometryType.POINT,
            "address_no",
            _attribute("address_no", TEXT, "地址编码", "Address number"),
            _attribute("full_address", TEXT, "标准地址", "Full address"),
            _attribute("postcode", TEXT, "邮政编码", "Postcode"),
        ),
        _layer(
            "pipe",
            "供水管线",
            "Water pipes",
            GeometryType.LINESTRING,
            "pipe_no",
            _attribute("pipe_no", TEXT, "管线编号", "Pipe number"),
            _attribute("diameter_mm", AttributeType.INTEGER, "管径", "Diameter", "mm"),
            _attribute("material", TEXT, "材质", "Material"),
            _attribute("depth_m", REAL, "埋深", "Depth", "m"),
            _attribute("laid_on", DATE, "埋设日期", "Laid on"),
        ),
        _layer(
            "road",
            "道路中心线",
            "Road centrelines",
            GeometryType.LINESTRING,
            "road_no",
            _attribute("road_no", TEXT, "道路编号", "Road number"),
            _attribute("name", TEXT, "道路名称", "Name"),
        ),
    )
}


@dataclass(frozen=True)
class RuleSample:
    """One rule with what its findings look like."""

    id: str
    kind: str
    layer: str
    title: Title
    measure: tuple[str, str]
    defect_class: DefectClass
    gate: Gate
    scope: Scope
    delivery: str
    share: float


DELIVERIES = {
    "parcel": "land_registry.4c1b0e6fd2a97385",
    "building": "survey_2026q4.9f20b1d7c36e4a58",
    "address": "civil_affairs.07ae5bb2914d3c6f",
    "pipe": "water_company.d8834fa1067be52c",
    "road": "survey_2026q4.9f20b1d7c36e4a58",
}
_B, _C = Gate.BLOCK, Scope.CANDIDATE
RULES = (
    RuleSample(
        "parcel.overlap",
        "overlap",
        "parcel",
        Title("宗地之间不得重叠", "Parcels do not overlap"),
        ("11", "number of invalid overlaps of surfaces"),
        DefectClass.A,
        _B,
        _C,
        "",
        0.11,
    ),
    RuleSample(
        "parcel.registered_area",
        "registered_area",
        "parcel",
        Title("登记面积与图形面积一致", "Registered area agrees with the computed one"),
        ("68", "quantitative attribute accuracy"),
        DefectClass.C,
        Gate.REVIEW,
        _C,
        "",
        0.19,
    ),
    RuleSample(
        "parcel.land_use_code",
        "codes",
        "parcel",
        Title("土地用途在代码表内", "Land use is a known code"),
        ("16", "value domain non-conformance rate"),
        DefectClass.B,
        _B,
        Scope.DELIVERY,
        DELIVERIES["parcel"],
        0.07,
    ),
    RuleSample(
        "building.inside_parcel",
        "inside",
        "building",
        Title("房屋位于宗地范围内", "Buildings lie inside a parcel"),
        ("10", "conceptual schema non-compliance"),
        DefectClass.B,
        Gate.REVIEW,
        _C,
        "",
        0.15,
    ),
    RuleSample(
        "address.unique",
        "unique",
        "address",
        Title("标准地址不重复", "Full addresses are unique"),
        ("4", "number of duplicate feature instances"),
        DefectClass.B,
        Gate.REVIEW,
        _C,
        "",
        0.13,
    ),
    RuleSample(
        "pipe.dangle",
        "dangles",
        "pipe",
        Title("管线端点应与管网相连", "Pipe ends meet the network"),
        ("23", "missing connections due to undershoots"),
        DefectClass.B,
        _B,
        _C,
        "",
        0.06,
    ),
    RuleSample(
        "pipe.diameter",
        "not_null",
        "pipe",
        Title("管径必填", "Diameter is given"),
        ("16", "value domain non-conformance rate"),
        DefectClass.D,
        Gate.NOTE,
        Scope.DELIVERY,
        DELIVERIES["pipe"],
        0.22,
    ),
    RuleSample(
        "road.named",
        "not_null",
        "road",
        Title("道路有名称", "Roads have a name"),
        ("16", "value domain non-conformance rate"),
        DefectClass.D,
        Gate.NOTE,
        _C,
        "",
        0.07,
    ),
)
PASSED = (
    (
        "parcel.valid",
        "valid",
        "parcel",
        Title("图形符合 OGC 规范", "Geometry is OGC-valid"),
        ("26", "number of invalid self-intersect errors"),
        DefectClass.A,
        _B,
    ),
    (
        "parcel.unique_no",
        "unique",
        "parcel",
        Title("宗地代码唯一", "Parcel numbers are unique"),
        ("4", "number of duplicate feature instances"),
        DefectClass.A,
        _B,
    ),
    (
        "building.valid",
        "valid",
        "building",
        Title("图形符合 OGC 规范", "Geometry is OGC-valid"),
        ("26", "number of invalid self-intersect errors"),
        DefectClass.A,
        _B,
    ),
    (
        "pipe.simple",
        "simple",
        "pipe",
        Title("管线不自相交", "Pipes do not cross themselves"),
        ("27", "number of invalid self-overlap errors"),
        DefectClass.C,
        Gate.REVIEW,
    ),
    (
        "road.connected",
        "islands",
        "road",
        Title("路网连通", "The road network is connected"),
        ("10", "conceptual schema non-compliance"),
        DefectClass.C,
        Gate.REVIEW,
    ),
)


@dataclass(frozen=True)
class _Grid:
    """Corner and number of each parcel in blocks of 6 x 2 with streets between."""

    east: np.ndarray
    north: np.ndarray
    columns: int


def _grid(count: int) -> _Grid:
    columns = int(np.ceil(np.sqrt(count / 12) * 0.8)) * 6
    number = np.arange(count)
    column, row = number % columns, number // columns
    return _Grid(
        EAST + column * PARCEL_W + (column // 6) * ROAD,
        NORTH + row * PARCEL_H + (row // 2) * ROAD,
        columns,
    )


def _boxes(east: np.ndarray, north: np.ndarray, width: object, height: object) -> np.ndarray:
    skew = 1.7
    corners = np.stack(
        [
            np.stack([east, north], axis=-1),
            np.stack([east + width, north + skew], axis=-1),
            np.stack([east + width - skew, north + height + skew], axis=-1),
            np.stack([east - skew, north + height], axis=-1),
        ],
        axis=1,
    )
    return np.asarray(shapely.polygons(corners.round(3)))


def _sides(
    finding_ids: np.ndarray,
    side: str,
    uids: list[str],
    attributes: list[dict[str, object]],
    geometry: np.ndarray,
) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "finding_id": finding_ids,
            "side": side,
            "uid": uids,
            "attributes": [json.dumps(one, ensure_ascii=False) for one in attributes],
        },
        geometry=geometry,
        crs=CRS,
    )


def _uid(layer: str, numbers: np.ndarray) -> list[str]:
    return [f"{layer[0]}-{(int(n) * 2654435761) % 2**40:010x}" for n in numbers]


def _parcel_attributes(numbers: np.ndarray, after: bool, rule: str) -> list[dict[str, object]]:
    return [
        {
            "parcel_no": f"420102{int(n):06d}GB{int(n) % 97:05d}",
            "land_use": "07X" if after and "code" in rule else USES[int(n) % 5],
            "registered_area_m2": 1472.0 + (int(n) % 9 if after else 0),
            "owner_kind": None if int(n) % 3 else "国有",
            "registered_on": "2026-11-02" if after else "2014-06-30",
        }
        for n in numbers
    ]


def _address_text(n: int) -> str:
    return (
        f"江城市滨江区{STREETS[n % 8]}{n % 400 + 1}号{n % 7 + 1}栋{n % 3 + 1}单元{n % 18 + 1}01室"
    )


@dataclass(frozen=True)
class _Found:
    rows: pd.DataFrame
    before: tuple[list[dict[str, object]], np.ndarray]
    after: tuple[list[dict[str, object]], np.ndarray]


def _found(rule: RuleSample, grid: _Grid, n: np.ndarray, neighbour: np.ndarray) -> _Found:
    east, north = grid.east[n], grid.north[n]
    uid = _uid(rule.layer, n)
    if rule.layer == "parcel":
        push = 0.4 + (n % 40) / 10 if rule.id == "parcel.overlap" else np.where(n % 2, 0.0, 0.6)
        before = _boxes(east, north, PARCEL_W, PARCEL_H)
        after = _boxes(east, north, PARCEL_W + push, PARCEL_H)
        sides = (
            (_parcel_attributes(n, False, rule.id), before),
            (_parcel_attributes(n, True, rule.id), after),
        )
        rows = pd.DataFrame({"uid": uid, "geometry": after})
        if rule.id == "parcel.overlap":
            rows["geometry"] = shapely.intersection(
                after, _boxes(grid.east[neighbour], grid.north[neighbour], PARCEL_W, PARCEL_H)
            )
            rows["other"] = _uid("parcel", neighbour)
            rows["found"] = [
                f"overlaps {o} by {a:.2f} m²"
                for o, a in zip(rows["other"], shapely.area(rows["geometry"]), strict=True)
            ]
            rows["expected"] = "no overlap above 0.01 m²"
        elif rule.id == "parcel.registered_area":
            rows["found"] = [
                f"registered 1472.0 m², computed {a:.1f} m²" for a in shapely.area(after)
            ]
            rows["expected"] = "difference up to 0.5 %"
        else:
            rows["found"], rows["expected"] = (
                "land_use = '07X'",
                "one of 0701, 0702, 0801, 0901, 1001",
            )
            rows["source_key"] = [f"420102{int(i):06d}" for i in n]
            rows["record"] = n
        return _Found(rows, *sides)
    if rule.layer == "building":
        after = _boxes(east + 6, north + 33, 18.0, 16.5)
        before = _boxes(east + 6, north + 30, 18.0, 14.0)
        attributes = [
            {
                "building_no": f"F{int(i):07d}",
                "storeys": 6 + int(i) % 3,
                "structure": "钢混",
                "address": _address_text(int(i)),
            }
            for i in n
        ]
        older = [{**one, "storeys": 5, "structure": "砖混"} for one in attributes]
        rows = pd.DataFrame({"uid": uid, "geometry": after})
        rows["found"], rows["expected"] = (
            "3.5 m beyond the parcel",
            "inside one parcel, tolerance 0.5 m",
        )
        return _Found(rows, (older, before), (attributes, after))
    if rule.layer == "address":
        point = shapely.points(np.stack([east + 9.4, north + 2.2], axis=-1).round(3))
        moved = shapely.points(np.stack([east + 14.4, north - 1.2], axis=-1).round(3))
        attributes = [
            {
                "address_no": f"A{int(i):08d}",
                "full_address": _address_text(int(i)),
                "postcode": "430010",
            }
            for i in n
        ]
        rows = pd.DataFrame({"uid": uid, "geometry": moved, "other": _uid("address", neighbour)})
        rows["found"] = [f"'{one['full_address']}' stands twice" for one in attributes]
        rows["expected"] = "once"
        return _Found(
            rows, ([{**a, "postcode": "430000"} for a in attributes], point), (attributes, moved)
        )
    depth = -6.0
    start = np.stack([east, north + depth], axis=-1)
    middle = np.stack([east + 21, north + depth - 0.8], axis=-1)
    end = np.stack([east + 30.2, north + depth - 1.1], axis=-1)
    line = shapely.linestrings(np.stack([start, middle, end], axis=1).round(3))
    short = shapely.linestrings(np.stack([start, middle], axis=1).round(3))
    if rule.layer == "road":
        attributes = [{"road_no": f"R{int(i):05d}", "name": None} for i in n]
        rows = pd.DataFrame({"uid": uid, "geometry": line})
        rows["found"], rows["expected"] = "name is null", "a name"
        return _Found(rows, (attributes, line), (attributes, line))
    attributes = [
        {
            "pipe_no": f"JS{int(i):07d}",
            "diameter_mm": 300,
            "material": MATERIALS[int(i) % 4],
            "depth_m": 1.2 + int(i) % 8 / 10,
            "laid_on": "2019-04-01",
        }
        for i in n
    ]
    newer = [{**one, "diameter_mm": None, "material": "PE"} for one in attributes]
    dangle = rule.id == "pipe.dangle"
    rows = pd.DataFrame(
        {"uid": uid, "geometry": shapely.points(middle.round(3)) if dangle else line}
    )
    rows["found"] = "end 1.35 m from the nearest pipe" if dangle else "diameter_mm is null"
    rows["expected"] = "a node within 0.05 m" if dangle else "a value"
    if not dangle:
        rows["record"], rows["source_key"] = n, [f"JS{int(i):07d}" for i in n]
    return _Found(rows, (attributes, line), (newer, short if dangle else line))


def make_sample(count: int = 420, *, parcels: int | None = None) -> Sample:
    """Return a district with about ``count`` findings."""
    grid = _grid(parcels or max(720, count))
    random = np.random.default_rng(20261122)
    findings: list[gpd.GeoDataFrame] = []
    features: dict[str, list[gpd.GeoDataFrame]] = {}
    failed: dict[str, int] = {}
    inner = np.flatnonzero(np.arange(len(grid.east)) % grid.columns % 6 < 5)
    for rule in RULES:
        n = np.sort(random.choice(inner, size=max(1, int(count * rule.share)), replace=False))
        neighbour = n + 1
        found = _found(rule, grid, n, neighbour)
        frame = findings_frame(
            found.rows,
            rule=rule.id,
            kind=rule.kind,
            defect_class=rule.defect_class,
            gate=rule.gate,
            scope=rule.scope,
            layer=rule.layer,
            delivery=rule.delivery,
            crs=CRS,
        )
        findings.append(frame)
        failed[rule.id] = len(frame)
        ids, uids = frame["finding_id"].to_numpy(), list(frame["uid"])
        parts = features.setdefault(rule.layer, [])
        known = n % 11 != 0  # the rest is new: nothing before
        before = _sides(ids, "before", uids, *found.before)
        parts.extend([before[known], _sides(ids, "after", uids, *found.after)])
        if rule.id == "parcel.overlap":
            other = _boxes(grid.east[neighbour], grid.north[neighbour], PARCEL_W, PARCEL_H)
            values = _parcel_attributes(neighbour, False, rule.id)
            for side in ("before", "after"):
                parts.append(_sides(ids, side, _uid("parcel", neighbour), values, other))
    findings.append(
        findings_frame(
            pd.DataFrame({"found": ["1,204 records"], "expected": ["1,500 to 2,500 records"]}),
            rule="address.count",
            kind="count",
            defect_class=DefectClass.B,
            gate=Gate.BLOCK,
            scope=Scope.DELIVERY,
            layer="address",
            delivery=DELIVERIES["address"],
            crs=CRS,
        )
    )
    every = gpd.GeoDataFrame(pd.concat(findings, ignore_index=True), geometry="geometry", crs=CRS)
    review = every.loc[every["rule"] == "parcel.registered_area", "finding_id"]
    waived = frozenset(review.iloc[: max(1, len(review) // 12)])
    every = _over_cycles(every, waived)
    return Sample(
        report=make_report(failed),
        findings={CRS: every},
        features={name: pd.concat(parts, ignore_index=True) for name, parts in features.items()},
        context=_context(grid),
        layers=LAYERS,
        waived=waived,
    )


def _over_cycles(every: gpd.GeoDataFrame, waived: frozenset[str]) -> gpd.GeoDataFrame:
    number = np.arange(len(every))
    state = np.array(["persisting", "new", "new", "come-back"])[number % 4]
    first = np.array(["district-2026-08", "district-2026-11", "district-2026-11"] * 2)[number % 4]
    words = {"overlaps": "重叠", "registered": "登记", "computed": "图形", "is null": "为空"}
    found = every["found"]
    for english, chinese in words.items():
        found = found.str.replace(english, chinese)
    return every.assign(
        found_zh=found,
        expected_zh=every["expected"].str.replace("no overlap above", "重叠不超过"),
        waiver=np.where(every["finding_id"].isin(waived), "w-2026-114", ""),
        state=state,
        first_seen=first,
    ).astype({"waiver": "str", "state": "str", "first_seen": "str"})


def as_fixed(frame: gpd.GeoDataFrame, count: int) -> gpd.GeoDataFrame:
    """Return copies of findings that this cycle does not meet any more."""
    gone = frame[frame["uid"] != ""].iloc[:count].copy()
    return gone.assign(
        finding_id="fixed-" + gone["finding_id"],
        state="fixed",
        waiver="",
        first_seen="district-2026-09",
    )


def _context(grid: _Grid) -> dict[str, gpd.GeoDataFrame]:
    east, north = np.unique(grid.east), np.unique(grid.north)
    west_end, east_end = east.min() - ROAD, east.max() + PARCEL_W + ROAD
    south_end, north_end = north.min() - ROAD, north.max() + PARCEL_H + ROAD
    across = [
        [
            [west_end, y - ROAD / 2],
            [(west_end + east_end) / 2, y - ROAD / 2 + 3],
            [east_end, y - ROAD / 2],
        ]
        for y in [*north[::2], north_end]
    ]
    along = [
        [
            [x - ROAD / 2, south_end],
            [x - ROAD / 2 - 4, (south_end + north_end) / 2],
            [x - ROAD / 2, north_end],
        ]
        for x in [*east[::6], east_end]
    ]
    lines = shapely.linestrings(np.array(across + along).round(3))
    border = shapely.box(west_end - 20, south_end - 20, east_end + 20, north_end + 20)
    thin = slice(None, None, max(1, len(grid.east) // 4000))
    plots = _boxes(grid.east[thin], grid.north[thin], PARCEL_W, PARCEL_H)
    return {
        "road": gpd.GeoDataFrame(geometry=lines, crs=CRS),
        "parcel": gpd.GeoDataFrame(geometry=plots, crs=CRS),
        "district": gpd.GeoDataFrame(geometry=[border], crs=CRS),
    }


def make_report(failed: Mapping[str, int]) -> Report:
    """Return a report of a cycle in review that can't be approved."""
    results = [
        RuleResult(
            rule=rule.id,
            kind=rule.kind,
            version=2 if rule.id == "parcel.overlap" else 1,
            title=rule.title,
            measure=Measure("ISO 19157:2013", *rule.measure),
            defect_class=rule.defect_class,
            gate=rule.gate,
            scope=rule.scope,
            layer=rule.layer,
            delivery=rule.delivery,
            checked=24_816,
            failed=failed.get(rule.id, 0),
            status=RuleStatus.FAILED if failed.get(rule.id) else RuleStatus.PASSED,
            is_within_tolerance=rule.gate is not Gate.BLOCK,
        )
        for rule in RULES
    ]
    results += [
        RuleResult(
            rule=name,
            kind=kind,
            version=1,
            title=title,
            measure=Measure("ISO 19157:2013", *measure),
            defect_class=weight,
            gate=gate,
            scope=Scope.CANDIDATE,
            layer=layer,
            delivery="",
            checked=24_816,
            failed=0,
            status=RuleStatus.PASSED,
            is_within_tolerance=True,
        )
        for name, kind, layer, title, measure, weight, gate in PASSED
    ]
    results += [
        RuleResult(
            rule="address.count",
            kind="count",
            version=1,
            title=Title("记录数在申报范围内", "Number of records is as declared"),
            measure=Measure("ISO 19157:2013", "2", "number of excess items"),
            defect_class=DefectClass.B,
            gate=Gate.BLOCK,
            scope=Scope.DELIVERY,
            layer="address",
            delivery=DELIVERIES["address"],
            checked=1,
            failed=1,
            status=RuleStatus.FAILED,
            is_within_tolerance=False,
        ),
        RuleResult(
            rule="pipe.depth_against_dem",
            kind="z_against_dem",
            version=1,
            title=Title("埋深与地面高程相符", "Depth agrees with the terrain"),
            measure=Measure("ISO 19157:2013", "39", "root mean square error"),
            defect_class=DefectClass.C,
            gate=Gate.REVIEW,
            scope=Scope.CANDIDATE,
            layer="pipe",
            delivery="",
            checked=0,
            failed=0,
            status=RuleStatus.NOT_CHECKED,
            is_within_tolerance=True,
            message="no elevation model covers the district",
        ),
    ]
    return Report(
        id="district-2026-11",
        city=Title("江城市滨江区", "Binjiang District, Jiangcheng"),
        series=Title("月度更新", "Monthly update"),
        state="in-review",
        created_at="2026-11-22T02:05:37Z",
        parent_release=17,
        release=None,
        candidate_digest="b7d1c2f8e04a9365fd12ab90cc34e788",
        rule_set_digest="1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        deliveries=_deliveries(),
        results=tuple(results),
        changes=(
            LayerChanges(
                "parcel",
                LAYERS["parcel"].title,
                24_790,
                24_816,
                {"new": 61, "removed": 35, "reshaped": 102, "attributes": 340},
                48,
            ),
            LayerChanges(
                "building",
                LAYERS["building"].title,
                31_002,
                31_057,
                {"new": 77, "removed": 22, "moved": 9, "reshaped": 41, "attributes": 12},
                17,
            ),
            LayerChanges("address", LAYERS["address"].title, 18_440, 18_440, {}, 0),
            LayerChanges(
                "pipe",
                LAYERS["pipe"].title,
                9_120,
                9_183,
                {"new": 64, "removed": 1, "moved": 3, "reshaped": 18, "attributes": 220},
                6,
            ),
            LayerChanges("road", LAYERS["road"].title, 1_204, 1_204, {"attributes": 3}, 0),
        ),
        stale_sources=("sensor_network",),
        decisions=(
            Decision(
                "王敏",
                "2026-11-20T09:12:00Z",
                "returned",
                "宗地重叠未处理，退回登记中心复核。",
                "03aa5be1c97fd2460f51b8e43c7d9a12",
            ),
            Decision(
                "li.wei",
                "2026-11-22T02:40:00Z",
                "waived",
                "Registered areas of the 2014 survey are settled by court order 2026-114.",
                "b7d1c2f8e04a9365fd12ab90cc34e788",
            ),
        ),
        gate_reasons=(
            "parcel.overlap: 46 of 24816 records fail, none tolerated",
            "pipe.dangle: 25 of 24816 records fail, none tolerated",
        ),
        time_zone="Asia/Shanghai",
    )


def _deliveries() -> tuple[DeliveryAccount, ...]:
    def account(
        source: str, title: Title, layers: tuple[LayerAccount, ...], *reasons: str
    ) -> DeliveryAccount:
        identity = next(one for one in DELIVERIES.values() if one.startswith(source))
        digest = (identity.split(".")[1] * 4)[:64]
        return DeliveryAccount(
            delivery=Delivery(
                id=identity,
                source=source,
                origin=f"sftp://exchange.example/{source}/2026-11",
                observed_at="2026-11-18T16:00:00Z",
                landed_at="2026-11-21T22:31:09Z",
                files=(
                    DeliveryFile(f"{source}.gpkg", 8_421_376, digest),
                    DeliveryFile("readme.txt", 812, digest),
                ),
                digest=digest,
                watermark="2026-11-18",
            ),
            source_title=title,
            layers=layers,
            quarantine_reasons=reasons,
        )

    return (
        account(
            "land_registry",
            Title("不动产登记中心", "Land registry"),
            (
                LayerAccount(
                    "parcel",
                    2_480,
                    {
                        "published": 538,
                        "merged": 4,
                        "unchanged": 1_894,
                        "returned": 29,
                        "waiting": 15,
                    },
                ),
            ),
        ),
        account(
            "survey_2026q4",
            Title("2026 年第四季度测绘", "Survey 2026 Q4"),
            (
                LayerAccount(
                    "building", 412, {"published": 161, "unchanged": 250, "superseded": 1}
                ),
                LayerAccount("road", 38, {"published": 3, "unchanged": 35}),
            ),
        ),
        account(
            "civil_affairs",
            Title("民政局地名办", "Office of place names"),
            (LayerAccount("address", 1_204, {"waiting": 1_204}),),
            "address.count: 1,204 records, expected 1,500 to 2,500",
        ),
        account(
            "water_company",
            Title("自来水公司", "Water company"),
            (LayerAccount("pipe", 640, {"published": 306, "unchanged": 331, "waived": 2}),),
        ),
    )


@pytest.fixture
def sample() -> Sample:
    """Return a district with about 420 findings."""
    return make_sample()


@pytest.fixture
def sample_of() -> Callable[..., Sample]:
    """Return the maker of samples of any size."""
    return make_sample


@pytest.fixture
def with_fixed(sample: Sample) -> Sample:
    """Return the district with six findings that are fixed since the cycle before."""
    (frame,) = sample.findings.values()
    return replace(sample, findings={**sample.findings, "fixed": as_fixed(frame, 6)})
