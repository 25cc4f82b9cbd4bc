"""What a cycle's report says of its check: how far it went, and which waivers it met."""

from collections.abc import Iterator

from cityframe.model.report import Section
from cityframe.model.text import Title
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.check_basis import FULL
from cityframe.pipeline.city import City
from cityframe.pipeline.staging import check_results
from cityframe.pipeline.waivers import waivers
from cityframe.rules.checking.waiving import VoidReason

_NOTHING = Title("", "")
_STANDS = Title("有效", "stands")
_VOID = {
    VoidReason.WITHDRAWN: Title("已撤回", "void: withdrawn"),
    VoidReason.EXPIRED: Title("已到期", "void: expired"),
    VoidReason.OTHER_CYCLE: Title("只对另一周期有效", "void: given for another cycle"),
    VoidReason.RULE_CHANGED: Title("规则版本已变", "void: the rule has another version"),
    VoidReason.FEATURE_CHANGED: Title("要素已变", "void: a feature has changed"),
}


def check_sections(city: City, cycle: str) -> Iterator[Section]:
    """Yield the extent of the check and, if it met any, the waivers."""
    check = check_results(city, cycle)
    extent = Title("全量检查", "full") if check.extent == FULL else Title("增量检查", "incremental")
    yield Section(
        id="check",
        title=Title("候选检查范围", "Extent of the candidate's check"),
        note=_NOTHING,
        columns=(Title("范围", "extent"), Title("原因", "why")),
        rows=((extent, check.why),),
    )
    found = waiver_rows(city, cycle)
    if found:
        yield Section(
            id="waivers",
            title=Title("例外", "Waivers"),
            note=_NOTHING,
            columns=(
                Title("编号", "waiver"), Title("问题", "finding"), Title("规则", "rule"),
                Title("理由", "reason"), Title("批准人", "approver"), Title("到期", "expires"),
                Title("状态", "status"),
            ),
            rows=tuple(found),
        )  # fmt: skip


def waiver_rows(city: City, cycle: str) -> list[tuple[Title, ...]]:
    """Return the waivers whose findings a cycle met, with what they are; oldest first."""
    check = check_results(city, cycle)
    met = [(check.waivers, check.void_waivers)]
    met += [(one.waivers, one.void_waivers) for one in accounts(city, cycle)]
    status: dict[str, Title] = {}
    for standing, void in met:
        status |= dict.fromkeys(standing, _STANDS)
        status |= {name: _VOID[VoidReason(why)] for name, why in void.items()}
    return [
        (
            *(
                Title(text, text)
                for text in (
                    one.id, one.finding_id, one.rule, one.reason, one.approver, one.expires_at,
                )
            ),
            status[one.id],
        )
        for one in waivers(city)
        if one.id in status
    ]  # fmt: skip
