"""Match waivers to the findings of a check: which of them stand, and why the others are void."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pandas as pd

from cityframe.model.waiver import Waiver, WaiverScope

FeatureDigests = Mapping[str, str | None]
"""Digest of each feature of a finding by its identity; None where it can't be digested."""


class VoidReason(StrEnum):
    """Why a waiver does not count for the finding that it was given for.

    ===============  =========================================================
    withdrawn        somebody took it back
    expired          its time is over
    other-cycle      it was given for one cycle, and this is another
    rule-changed     the rule has another version
    feature-changed  a feature that the finding is about is not what it was
    ===============  =========================================================
    """

    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    OTHER_CYCLE = "other-cycle"
    RULE_CHANGED = "rule-changed"
    FEATURE_CHANGED = "feature-changed"


@dataclass(frozen=True)
class WaiverBook:
    """All waivers that were ever given, as one check sees them.

    Attributes
    ----------
    waivers : tuple of Waiver
        Oldest first.
    withdrawn : frozenset of str
        Ids of those that were taken back.
    cycle : str
        The cycle that checks.
    at : datetime
        Aware; the moment that counts as now.
    """

    waivers: tuple[Waiver, ...]
    withdrawn: frozenset[str]
    cycle: str
    at: dt.datetime

    def of(self, rule: str, layer: str) -> tuple[Waiver, ...]:
        """Return the waivers of one rule's findings on a layer."""
        return tuple(one for one in self.waivers if one.rule == rule and one.layer == layer)

    def void_reason(self, waiver: Waiver) -> VoidReason | None:
        """Return why a waiver is void whatever the data says, or None."""
        if waiver.id in self.withdrawn:
            return VoidReason.WITHDRAWN
        if dt.datetime.fromisoformat(waiver.expires_at) <= self.at:
            return VoidReason.EXPIRED
        if waiver.scope is WaiverScope.CYCLE and waiver.cycle != self.cycle:
            return VoidReason.OTHER_CYCLE
        return None


@dataclass(frozen=True)
class WaiverMatch:
    """What the waivers of one rule mean for its findings.

    Attributes
    ----------
    waiver : Sequence of str, n
        Of each finding the id of the waiver that stands for it; empty while it is open.
    void : mapping of str to VoidReason
        Waivers of findings that are met again but stay open in spite of them.
    """

    waiver: Sequence[str]
    void: Mapping[str, VoidReason] = field(default_factory=dict)


def match_waivers(
    findings: pd.DataFrame,
    book: WaiverBook | None,
    digests: Callable[[pd.DataFrame], Sequence[FeatureDigests]],
) -> WaiverMatch:
    """Say of each finding of one rule on one layer whether a waiver stands for it.

    Parameters
    ----------
    findings : DataFrame, n rows
        Of one rule and layer; at least ``finding_id``, ``rule``, ``layer``, ``rule_version``.
    book : WaiverBook or None
        None for a check without waivers.
    digests : callable
        Gives, for some rows of ``findings``, the digests of the features of each row. Only asked
        for those that have a waiver.

    Notes
    -----
    Of several waivers that stand for a finding the oldest counts.
    """
    waiver = [""] * len(findings)
    if book is None or findings.empty:
        return WaiverMatch(waiver)
    given = book.of(findings["rule"].iloc[0], findings["layer"].iloc[0])
    positions = findings["finding_id"].isin([one.finding_id for one in given]).to_numpy().nonzero()
    met = findings.iloc[positions[0]]
    void: dict[str, VoidReason] = {}
    if met.empty:
        return WaiverMatch(waiver)
    for place, identity, version, now in zip(
        positions[0], met["finding_id"], met["rule_version"], digests(met), strict=True
    ):
        for one in given:
            if one.finding_id != identity:
                continue
            reason = book.void_reason(one) or _void_by_data(one, version, now)
            if reason is not None:
                void[one.id] = reason
            elif not waiver[place]:
                waiver[place] = one.id
    return WaiverMatch(waiver, {name: why for name, why in void.items() if name not in waiver})


def _void_by_data(waiver: Waiver, version: str, digests: FeatureDigests) -> VoidReason | None:
    if waiver.rule_version != version:
        return VoidReason.RULE_CHANGED
    if dict(digests) != dict(waiver.features):
        return VoidReason.FEATURE_CHANGED
    return None
