"""What a cycle's checks looked at: which findings they met, and of which they can say they passed.

::

    a finding of before counts as passed if its rule ran and
    candidate   always
    delivery    of its source holds the layer, and
                the finding is about the whole layer, or
                the record (and its partner) reached the rules, or
                the delivery is a full snapshot without it
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cityframe.model.delivery import DeliveryKind
from cityframe.model.finding import FINDING_COLUMNS
from cityframe.model.report import RuleResult, RuleStatus
from cityframe.pipeline.accounts import Account, accounts, delivery_folder
from cityframe.pipeline.city import City
from cityframe.pipeline.frames_on_disk import read_table
from cityframe.pipeline.plan import source_of

LIGHT_COLUMNS = [name for name in FINDING_COLUMNS if name != "geometry"]
_INTAKE = "intake."


@dataclass(frozen=True)
class Look:
    """One check of one cycle.

    Attributes
    ----------
    looked_by : str
        The source whose delivery was checked; empty for the candidate.
    layers : frozenset of str
        The layers that were checked.
    files : tuple of Path
        Where its findings are.
    met : DataFrame
        The findings, without their geometry.
    ran : frozenset of (str, str)
        Rule and layer of each declared rule that ran.
    declared : frozenset of str
        All declared rules; any other one always runs.
    records : DataFrame or None
        ``layer, source_key, uid, is_checked`` of the records of a delivery; None for a candidate.
    infers_absence : bool
        Whether a feature that the delivery lacks is not there any more.
    """

    looked_by: str
    layers: frozenset[str]
    files: tuple[Path, ...]
    met: pd.DataFrame
    ran: frozenset[tuple[str, str]]
    declared: frozenset[str]
    records: pd.DataFrame | None = None
    infers_absence: bool = False

    def passed(self, known: pd.DataFrame) -> "pd.Series[bool]":
        """Say of known findings whether this look met them no more.

        Parameters
        ----------
        known : DataFrame, n rows
            `cityframe.store.finding_register.EVENT_COLUMNS`.
        """
        pairs = pd.MultiIndex.from_frame(known[["rule", "layer"]])
        has_run = pd.Series(pairs.isin(list(self.ran)), index=known.index)
        has_run |= ~known["rule"].isin(self.declared)
        is_mine = (known["looked_by"] == self.looked_by) & known["layer"].isin(self.layers)
        is_met = known["finding_id"].isin(self.met["finding_id"])
        return is_mine & has_run & ~is_met & self._was_there(known)

    def _was_there(self, known: pd.DataFrame) -> "pd.Series[bool]":
        """Say of findings whether their features were looked at, or are known to be gone."""
        if self.records is None:
            return pd.Series(True, index=known.index)
        checked = self.records[self.records["is_checked"]]
        is_whole_layer = (known["uid"] + known["source_key"] == "") & known["record"].isna()
        is_checked = _holds(checked, known, known["uid"]) | _holds(
            checked, known, known["source_key"]
        )
        is_checked &= (known["partner"] == "") | _holds(checked, known, known["partner"])
        if not self.infers_absence:
            return is_whole_layer | is_checked
        is_held = _holds(self.records, known, known["uid"]) | _holds(
            self.records, known, known["source_key"]
        )
        return is_whole_layer | is_checked | ~is_held


def _holds(
    records: pd.DataFrame, known: pd.DataFrame, names: "pd.Series[str]"
) -> "pd.Series[bool]":
    """Say of each finding whether the records of its layer have a name."""
    held = pd.concat(
        [records[["layer", column]].set_axis(["layer", "name"], axis=1)
         for column in ("uid", "source_key")]
    )  # fmt: skip
    pairs = pd.MultiIndex.from_arrays([known["layer"], names])
    is_there = pairs.isin(pd.MultiIndex.from_frame(held[held["name"] != ""]))
    return pd.Series(is_there, index=known.index)


def looks(city: City, cycle: str, results: Sequence[RuleResult]) -> Iterator[Look]:
    """Yield what a cycle looked at: its deliveries in their order, then the candidate.

    Parameters
    ----------
    results : sequence of RuleResult
        Of the candidate.
    """
    declared = frozenset(rule.id for rule in city.workspace.rules)
    for account in accounts(city, cycle):
        if account.feeds:
            yield _delivery(city, cycle, account, declared)
    folder = city.cycle_folder(cycle) / "candidate"
    files = tuple(sorted(folder.glob("*.findings.parquet")))
    yield Look(
        looked_by="",
        layers=frozenset(city.workspace.layers),
        files=files,
        met=_met(files),
        ran=_ran(results),
        declared=declared,
    )


def _delivery(city: City, cycle: str, account: Account, declared: frozenset[str]) -> Look:
    folder = delivery_folder(city, cycle, account.delivery)
    source = city.workspace.source(source_of(account.delivery))
    files = tuple(folder / f"{feed}.findings.parquet" for feed in account.feeds)
    parts = []
    for feed in account.feeds:
        fates = read_table(folder / f"{feed}.fates.parquet")
        # what intake stopped never came to the declared rules
        is_stopped = fates["reason"].str.startswith(_INTAKE, na=False)
        names = fates[["source_key", "uid"]].astype("str").fillna("")
        parts.append(names.assign(layer=feed.partition("-")[2], is_checked=~is_stopped))
    return Look(
        looked_by=source.name,
        layers=frozenset(feed.partition("-")[2] for feed in account.feeds),
        files=files,
        met=_met(files),
        ran=_ran(account.results),
        declared=declared,
        records=pd.concat(parts, ignore_index=True),
        infers_absence=source.delivery in (DeliveryKind.FULL, DeliveryKind.LAYERS_CHANGED_ONLY),
    )


def _met(files: Sequence[Path]) -> pd.DataFrame:
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in LIGHT_COLUMNS})
    parts = [pd.read_parquet(path, columns=LIGHT_COLUMNS) for path in files]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else empty


def _ran(results: Sequence[RuleResult]) -> frozenset[tuple[str, str]]:
    """Return rule and layer of what ran; with several feeds of a layer it must have in each."""
    pairs = [(one.rule, one.layer) for one in results]
    not_ran = {
        pair
        for pair, one in zip(pairs, results, strict=True)
        if one.status is RuleStatus.NOT_CHECKED or one.message
    }
    return frozenset(pairs) - not_ran
