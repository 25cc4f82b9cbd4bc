"""What taking in a delivery left on disk: its account, findings, fates and changes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd

from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.layer import Layer
from cityframe.model.report import LayerAccount, RuleResult, RuleStatus
from cityframe.model.text import Title
from cityframe.pipeline.city import City, replaced_whole
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.plan import read_plan

ACCOUNT_FILE = "account.json"


@dataclass(frozen=True, slots=True)
class Account:
    """The account of one delivery; its presence on disk says that the delivery is taken in.

    Attributes
    ----------
    waivers : tuple of str
        Those that stood for findings of its records.
    void_waivers : mapping of str to str
        Those whose finding was met again and stayed open, and why.
    """

    delivery: str
    layers: tuple[LayerAccount, ...]
    results: tuple[RuleResult, ...]
    quarantine_reasons: tuple[str, ...]
    feeds: tuple[str, ...]
    waivers: tuple[str, ...] = ()
    void_waivers: Mapping[str, str] = field(default_factory=dict)


def delivery_folder(city: City, cycle: str, delivery: str) -> Path:
    """Return where a cycle keeps what it made of a delivery."""
    return city.cycle_folder(cycle) / "deliveries" / delivery


def accounts(city: City, cycle: str) -> Iterator[Account]:
    """Yield the accounts of the deliveries that a cycle has taken in, in their order."""
    for delivery in read_plan(city, cycle).deliveries:
        path = delivery_folder(city, cycle, delivery) / ACCOUNT_FILE
        if path.exists():
            yield read_account(path)


def write_account(path: Path, account: Account) -> None:
    """Write an account; the last thing that taking in a delivery does."""
    with replaced_whole(path) as temporary:
        temporary.write_text(
            json.dumps(asdict(account), ensure_ascii=False, indent=1), encoding="utf-8"
        )


def read_account(path: Path) -> Account:
    """Read an account."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Account(
        delivery=data["delivery"],
        layers=tuple(LayerAccount(**one) for one in data["layers"]),
        results=results_from(data["results"]),
        quarantine_reasons=tuple(data["quarantine_reasons"]),
        feeds=tuple(data["feeds"]),
        waivers=tuple(data.get("waivers", ())),
        void_waivers=data.get("void_waivers", {}),
    )


def results_from(rows: list[dict[str, Any]]) -> tuple[RuleResult, ...]:
    """Return rule results from their JSON form."""
    return tuple(
        RuleResult(
            **{
                **row,
                "title": Title(**row["title"]),
                "measure": Measure(**row["measure"]),
                "defect_class": DefectClass(row["defect_class"]),
                "gate": Gate(row["gate"]),
                "scope": Scope(row["scope"]),
                "status": RuleStatus(row["status"]),
            }
        )
        for row in rows
    )


def changes_in_order(city: City, cycle: str, layer: Layer) -> Iterator[gpd.GeoDataFrame]:
    """Yield the change tables of a layer from the deliveries that were not quarantined."""
    for account in accounts(city, cycle):
        if account.quarantine_reasons:
            continue
        for feed in account.feeds:
            if feed.partition("-")[2] == layer.name:
                folder = delivery_folder(city, cycle, account.delivery)
                yield read_frame(folder / f"{feed}.changes.parquet", layer)
