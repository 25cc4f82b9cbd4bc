"""Waivers: findings that somebody accepted, for as long as their reason holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class WaiverScope(StrEnum):
    """How long a waiver counts: in one cycle only, or in each until it expires."""

    CYCLE = "cycle"
    STANDING = "standing"


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted finding.

    Attributes
    ----------
    id : str
        Identity of the waiver.
    finding_id : str
        The finding: rule and features.
    features : mapping of str to str
        Digest (hexadecimal) of each feature concerned, by its uid or source key: when one of them
        changes, the waiver is void.
    given_at, expires_at : str
        ISO 8601 in UTC; from ``expires_at`` on the finding is open again.
    cycle : str
        The cycle in which it was given.
    """

    id: str
    finding_id: str
    rule: str
    rule_version: str
    layer: str
    features: Mapping[str, str]
    reason: str
    approver: str
    given_at: str
    expires_at: str
    scope: WaiverScope
    cycle: str
