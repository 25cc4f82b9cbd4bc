"""Give waivers and take them back."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import geopandas as gpd
import pandas as pd

from cityframe.errors import DeclarationError
from cityframe.model.cycle import CycleState
from cityframe.model.finding import Scope
from cityframe.model.waiver import Waiver, WaiverScope
from cityframe.pipeline.accounts import accounts, delivery_folder
from cityframe.pipeline.city import City, now
from cityframe.pipeline.current import StoredLayer
from cityframe.pipeline.decisions import require_approver
from cityframe.pipeline.frames_on_disk import read_frame, read_table
from cityframe.pipeline.plan import (
    cycle_state,
    newest_cycles,
    read_plan,
    reference_time,
)
from cityframe.pipeline.prefixes import require_one
from cityframe.pipeline.review import put_in_review
from cityframe.pipeline.staging import (
    CHECK_FILE,
    candidate_frames,
    candidate_of,
    check_candidate,
    check_results,
)
from cityframe.pipeline.turns import turn_of
from cityframe.pipeline.waivers import WAIVED, WAIVER_WITHDRAWN, as_body, waivers, withdrawals
from cityframe.rules.checking.feature_digests import digest_table
from cityframe.rules.compiled import compile_rules


class Effect(StrEnum):
    """From when on a waiver, or its withdrawal, counts.

    ============  =====================================================================
    reviewed      at once: the candidate was checked and put in review again
    next-check    from the next check of a candidate on
    next-intake   from the next intake of the record on; what was returned stays so
    ============  =====================================================================
    """

    REVIEWED = "reviewed"
    NEXT_CHECK = "next-check"
    NEXT_INTAKE = "next-intake"


@dataclass(frozen=True, slots=True)
class Waiving:
    """What giving or withdrawing a waiver came to.

    Attributes
    ----------
    cycle : str
        The cycle in which the finding was met.
    """

    waiver: Waiver
    effect: Effect
    cycle: str


@dataclass(frozen=True)
class _Met:
    """A finding where a cycle met it: a frame of one row, and its file."""

    cycle: str
    finding: gpd.GeoDataFrame
    path: Path

    @property
    def scope(self) -> Scope:
        return Scope(self.finding["scope"].iloc[0])


def waive(
    city: City,
    finding: str,
    *,
    who: str,
    why: str,
    expires: dt.datetime,
    scope: WaiverScope = WaiverScope.STANDING,
) -> Waiving:
    """Accept a finding for as long as its reason holds.

    If the finding is of a candidate that is in review, the candidate is checked and put in review
    again, with a new report.

    Parameters
    ----------
    finding : str
        Id of a finding of the newest cycle of a series, or the beginning of one.
    who, why : str
        An approver of a series, and the reason; both are kept for ever.
    expires : datetime
        Aware; from then on the finding is open again.
    scope : WaiverScope
        Whether it counts in this cycle only.

    Raises
    ------
    GateClosedError
        If ``who`` approves no cycle, or there is no reason.
    DeclarationError
        If there is no such finding or several, it is fixed, its rule is not declared, the expiry
        is past, or the waiver could never count.
    SourceUnreachableError
        If another process is at work on the series.
    """
    require_approver(city, who, why, what=f"waive finding {finding}")
    moment = now()
    if expires <= moment:
        raise DeclarationError(
            where=f"waive finding {finding}",
            found=f"expiry {_text(expires)} is past",
            expected=f"a time after {_text(moment)}",
            remedy="give a later --expires",
        )
    met = _find(city, finding)
    newest, cycles = met[0], list(dict.fromkeys(one.cycle for one in met))
    with _turns(city, cycles):
        _require_waivable(city, newest, scope)
        waiver = _waiver(city, newest, who, why, moment, expires, scope)
        city.ledger.append(WAIVED, waiver.id, as_body(waiver), who=who, at=moment)
        if newest.scope is Scope.DELIVERY:
            return Waiving(waiver, Effect.NEXT_INTAKE, newest.cycle)
        return Waiving(waiver, _review_again(city, cycles), newest.cycle)


def withdraw(city: City, waiver: str, *, who: str, why: str) -> Waiving:
    """Take a waiver back; a candidate in review that counted on it is put in review again.

    Parameters
    ----------
    waiver : str
        Id of a waiver, or the beginning of one.

    Raises
    ------
    GateClosedError
        If ``who`` approves no cycle, or there is no reason.
    DeclarationError
        If there is no such waiver or several, or it was withdrawn before.
    SourceUnreachableError
        If another process is at work on the series.
    """
    require_approver(city, who, why, what=f"withdraw waiver {waiver}")
    where = f"waiver {waiver}"
    found = [one for one in waivers(city) if waiver and one.id.startswith(waiver)]
    require_one(where, [one.id for one in found], "see `cityframe waiver list --all`")
    given = found[0]
    before = withdrawals(city).get(given.id)
    if before is not None:
        raise DeclarationError(
            where=where, found=f"withdrawn by {before.who} at {before.at}: {before.body['why']}"
        )
    cycles = [
        name
        for name in newest_cycles(city)
        if _is_checked(city, name) and given.id in check_results(city, name).waivers
    ]
    with _turns(city, cycles):
        city.ledger.append(WAIVER_WITHDRAWN, given.id, {"why": why}, who=who, at=now())
        return Waiving(given, _review_again(city, cycles), given.cycle)


@contextmanager
def _turns(city: City, cycles: Sequence[str]) -> Iterator[None]:
    """Hold the turns of the series of some cycles."""
    with ExitStack() as stack:
        for series in sorted({read_plan(city, one).series for one in cycles}):
            stack.enter_context(turn_of(city, series))
        yield


def _review_again(city: City, cycles: Sequence[str]) -> Effect:
    """Check the candidates that are in review again, and put them in review with a new report."""
    in_review = [one for one in cycles if cycle_state(city, one) is CycleState.IN_REVIEW]
    for cycle in in_review:
        check_candidate(city, cycle)
        put_in_review(city, cycle)
    return Effect.REVIEWED if in_review else Effect.NEXT_CHECK


def _find(city: City, prefix: str) -> list[_Met]:
    """Return where the newest cycles met the finding of a prefix, the newest cycle first."""
    where = f"finding {prefix}"
    cycles = newest_cycles(city)
    met = [one for cycle in cycles for one in _met(city, cycle, prefix)] if prefix else []
    ids = sorted({one.finding["finding_id"].iloc[0] for one in met})
    if not ids:
        _refuse_fixed(city, cycles, prefix)
    require_one(where, ids, "see the findings in the report of the newest cycle")
    return met


def _met(city: City, cycle: str, prefix: str) -> Iterator[_Met]:
    """Yield where a cycle met findings that begin with a prefix: candidate, then deliveries."""
    folder = city.cycle_folder(cycle)
    paths = sorted(folder.glob("candidate/*.findings.parquet"))
    for account in accounts(city, cycle):
        deliveries = delivery_folder(city, cycle, account.delivery)
        paths += [deliveries / f"{feed}.findings.parquet" for feed in account.feeds]
    for path in paths:
        frame = read_frame(path)
        mine = frame[frame["finding_id"].str.startswith(prefix)].reset_index(drop=True)
        for row in range(len(mine)):
            yield _Met(cycle, mine.iloc[[row]], path)


def _refuse_fixed(city: City, cycles: Sequence[str], prefix: str) -> None:
    for cycle in cycles:
        for path in sorted(city.cycle_folder(cycle).glob("candidate/*.fixed.parquet")):
            ids = pd.read_parquet(path, columns=["finding_id"])["finding_id"]
            if prefix and ids.str.startswith(prefix).any():
                raise DeclarationError(
                    where=f"finding {prefix}",
                    found=f"it is fixed: {cycle} does not meet it any more",
                    expected="a finding that the newest cycle met",
                )


def _require_waivable(city: City, met: _Met, scope: WaiverScope) -> None:
    finding = met.finding.iloc[0]
    where = f"finding {finding['finding_id']}"
    if finding["rule"] not in {rule.id for rule in city.workspace.rules}:
        raise DeclarationError(
            where=where,
            found=f"rule {finding['rule']}, which no workspace declares",
            expected="a finding of a declared rule",
            remedy="have the source mend the record: it could not be taken in as it is",
        )
    if met.scope is Scope.DELIVERY and scope is WaiverScope.CYCLE:
        raise DeclarationError(
            where=where,
            found=f"a waiver for {met.cycle}, which has taken the delivery in already",
            expected="one that lasts until the record comes again",
            remedy="give --scope standing, with an early --expires",
        )


def _waiver(
    city: City,
    met: _Met,
    who: str,
    why: str,
    moment: dt.datetime,
    expires: dt.datetime,
    scope: WaiverScope,
) -> Waiver:
    finding = met.finding.iloc[0]
    identity, given_at = finding["finding_id"], _text(moment)
    made = "\x1f".join([identity, who, why, str(len(waivers(city)))])
    return Waiver(
        id=hashlib.blake2b(made.encode(), digest_size=5).hexdigest(),
        finding_id=identity,
        rule=finding["rule"],
        rule_version=finding["rule_version"],
        layer=finding["layer"],
        features=_digests(city, met),
        reason=why,
        approver=who,
        given_at=given_at,
        expires_at=_text(expires),
        scope=scope,
        cycle=met.cycle,
    )


def _digests(city: City, met: _Met) -> Mapping[str, str]:
    """Return the digests of the finding's features: kept at intake, or of the candidate."""
    identity = met.finding["finding_id"].iloc[0]
    if met.scope is Scope.DELIVERY:
        name = met.path.name.replace(".findings.", ".digests.")
        table = read_table(met.path.with_name(name))
        table = table[table["finding_id"] == identity]
    else:
        table = _digests_in_candidate(city, met)
    bad = sorted(table.loc[table["digest"].isna(), "feature"])
    if bad:
        raise DeclarationError(
            where=f"finding {identity}",
            found=f"feature {bad[0]} has coordinates that can't be digested",
            expected="finite coordinates in the reach of the layer's CRS",
            remedy="have the source mend it",
        )
    return dict(zip(table["feature"], table["digest"], strict=True))


def _digests_in_candidate(city: City, met: _Met) -> pd.DataFrame:
    workspace, candidate = city.workspace, candidate_of(city, met.cycle)
    plan = read_plan(city, met.cycle)
    layer = workspace.layer(met.finding["layer"].iloc[0])
    frame_of = candidate_frames(city, candidate)
    stored = StoredLayer(city.framework, layer, reference_time(city, plan))
    return digest_table(
        compile_rules(workspace.rules, workspace.layers, workspace.places),
        met.finding,
        scope=Scope.CANDIDATE,
        layer=layer.name,
        frame=frame_of(layer.name),
        as_of=pd.Timestamp(plan.opened_at).to_pydatetime(),
        other=frame_of,
        previous=stored.all_rows(),
    )


def _is_checked(city: City, cycle: str) -> bool:
    return (city.cycle_folder(cycle) / "candidate" / CHECK_FILE).exists()


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds")
