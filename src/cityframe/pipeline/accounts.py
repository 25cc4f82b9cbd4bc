"""What taking in a delivery left on disk: its account, findings, fates and changes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cityframe.model.finding import DefectClass, Gate, Measure, Scope
from cityframe.model.report import LayerAccount, RuleResult, RuleStatus
from cityframe.model.text import Title
from cityframe.pipeline.city import City, replaced_whole
from cityframe.pipeline.plan import read_plan
from cityframe.reconcile.former_deliveries import FeedEffect

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
    answers : tuple of str
        Those about its source that stood when it was taken in.
    answers_met : tuple of str
        Those of them that are about its records.
    effects : mapping of str to FeedEffect
        What it did to the layer of each feed, by the feed's name.
    """

    delivery: str
    layers: tuple[LayerAccount, ...]
    results: tuple[RuleResult, ...]
    quarantine_reasons: tuple[str, ...]
    feeds: tuple[str, ...]
    waivers: tuple[str, ...] = ()
    void_waivers: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    answers_met: tuple[str, ...] = ()
    effects: Mapping[str, FeedEffect] = field(default_factory=dict)


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
        answers=tuple(data.get("answers", ())),
        answers_met=tuple(data.get("answers_met", ())),
        effects={feed: FeedEffect(**one) for feed, one in data.get("effects", {}).items()},
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
