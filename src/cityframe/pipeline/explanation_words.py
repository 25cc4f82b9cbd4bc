"""An explanation in sentences, in Chinese and English."""

from collections.abc import Iterator, Mapping
from typing import Any

from cityframe.config.reconciling import GEOMETRY
from cityframe.model.question import ACTION_TITLES, Action
from cityframe.model.text import Title
from cityframe.pipeline.explaining import Explanation, Presence

_CHANGES = {
    "new": Title("新增", "it was new"),
    "removed": Title("删除", "it was removed"),
    "moved": Title("位置移动", "it had moved"),
    "reshaped": Title("形状改变", "its shape had changed"),
    "attributes": Title("属性改变", "its attributes had changed"),
}
_BASES = {
    "uid": Title("记录指明了本要素的标识", "The record names the feature's uid"),
    "id": Title(
        "按来源自有编号匹配", "The record was matched by the source's own name of the feature"
    ),
    "key": Title("按主键匹配", "The record was matched by its key"),
    "same": Title("内容完全一致而匹配", "The record was matched, for all that it says was equal"),
    "near": Title("几何在限差内而匹配", "The record was matched by place, within tolerance"),
    "shape": Title("按形状和位置匹配", "The record was matched by shape and place, without a name"),
    "answer": Title("由人工答复认定为同一要素", "A person said that the record is this feature"),
    "new": Title("框架中没有对应要素", "Nothing in the framework was the same thing"),
    "split": Title("由其他要素拆分而来", "It is a part of a feature that was split"),
    "merged": Title("由多个要素合并而来", "It covers several features that were merged"),
    "replaced": Title("取代了原有要素", "It took the place of another feature"),
    "boundary": Title(
        "相邻要素的公共边界移动，本要素随之移动", "A boundary that it shares moved, and it with it"
    ),
    "edge": Title("与相邻图幅接边", "It was joined to its neighbour across a border"),
    "delete": Title("来源明确删除", "The source deleted it"),
    "absent": Title("来源的全量数据中不再出现", "A full delivery no longer had it"),
}
_RULES = {
    "only-current-changed": Title("只有框架一方改过", "only the framework's value had changed"),
    "only-incoming-changed": Title("只有来源一方改过", "only the source had changed it"),
    "own-value": Title("来源更新自己的值", "the source follows its own value"),
    "first-value": Title("原先没有值", "there was no value before"),
    "authority": Title("该来源的权威等级更高", "it ranks higher for this attribute"),
    "no-authority": Title("另一来源无权改写该属性", "the other is no authority for this attribute"),
    "observed-later": Title("观测时间更晚", "it was observed later"),
    "undecided": Title(
        "无法自动裁决，已列为问题，暂保留原值",
        "nothing decides between them; it is a question, and meanwhile the old value stands",
    ),
    "answer": Title("人工裁决", "a person decided"),
    "boundary": Title("公共边界随相邻要素移动", "the shared boundary moved with its neighbour"),
    "edge": Title("接边", "it was joined across a border"),
}
_EVENTS = {
    "split": Title("拆分", "split"),
    "merged": Title("合并", "merged"),
    "replaced": Title("取代", "replaced"),
    "removed": Title("删除", "removed"),
}
_GEOMETRY = Title("几何", "geometry")


def in_words(explanation: Explanation, language: str) -> str:
    """Return an explanation as text.

    Parameters
    ----------
    explanation : Explanation
        The facts.
    language : str
        ``zh`` or ``en``.
    """
    return "\n".join(_Words(explanation, language).lines())


class _Words:
    """Says the facts of one explanation in one language."""

    def __init__(self, explanation: Explanation, language: str) -> None:
        self._facts = explanation
        self._is_chinese = language == "zh"

    def lines(self) -> Iterator[str]:
        yield self._head()
        yield self._state()
        yield from self._match()
        yield from self._end()
        yield from self._people()
        yield from self._values()
        yield from self._disputes()
        yield from self._lineage()

    def _head(self) -> str:
        facts = self._facts
        number = facts.release
        layer = self._of(facts.titles[""])
        named = facts.key and self._say(f"（编号 {facts.key}）", f" {facts.key}")
        there = {
            Presence.THERE: Title(f"版本 {number} 中有此要素", f"it is in release {number}"),
            Presence.AHEAD: Title(
                f"版本 {number} 已知但尚未生效",
                f"release {number} knows it, but it has yet to begin",
            ),
            Presence.ENDED: Title(
                f"版本 {number} 中已不存在", f"it is no longer in release {number}"
            ),
        }[facts.presence]
        return self._say(
            f"{layer}{named}，标识 {facts.uid}：{there.zh}。",
            f"{layer}{named}, uid {facts.uid}: {there.en}.",
        )

    def _state(self) -> str:
        state = self._facts.state
        made, began = _day(state["made_at"]), _day(state["valid_from"])
        change = _CHANGES.get(state["change"] or "")
        record = state["record"]
        of_record = (
            "" if record is None else self._say(f"第 {record} 条记录", f"record {record} of ")
        )
        brought = self._delivery(state["source"], state["delivery"])
        verb = self._facts.presence is Presence.ENDED
        number = state["release"]
        if state["release_kind"] == "rollback":
            return self._say(
                f"现有状态由版本 {number}（{made}，回退）恢复，数据来自{brought}{of_record}。",
                f"Its state was restored by release {number} ({made}, a roll-back); "
                f"it is that of {of_record}{brought}.",
            )
        zh_change = f"，{change.zh}" if change else ""
        en_change = f": {change.en}" if change else ""
        return self._say(
            f"{'最后' if verb else '现有'}状态自版本 {state['release']}"
            f"（{made}，更新周期 {state['cycle']}）起{zh_change}，"
            f"由{brought}{of_record}带来，自 {began} 起有效。",
            f"Its {'last' if verb else 'present'} state came with release {state['release']} "
            f"({made}, cycle {state['cycle']}){en_change}, by {of_record}{brought}, "
            f"valid from {began}.",
        )

    def _match(self) -> Iterator[str]:
        state = self._facts.state
        basis = _BASES.get(state["basis"] or "")
        if basis is None:
            if state["basis"]:
                yield self._say(f"依据：{state['basis']}。", f"Basis: {state['basis']}.")
            return
        degree = ""
        if state["score"] is not None:
            degree = self._say(
                f"，得分 {state['score']:.2f}", f", with a score of {state['score']:.2f}"
            )
            if state["margin"] is not None:
                degree += self._say(
                    f"，领先次优候选 {state['margin']:.2f}",
                    f", {state['margin']:.2f} ahead of the next candidate",
                )
        yield self._of(basis) + degree + self._say("。", ".")

    def _end(self) -> Iterator[str]:
        state = self._facts.state
        if state["valid_to"] is None:
            return
        day = _day(state["valid_to"])
        by = state["ended_by"]
        zh, en = f"该状态于 {day} 结束", f"That state ended on {day}"
        if by:
            delivery = self._delivery(by.rpartition(".")[0], by)
            number = state["ended_in"]
            zh = f"{zh}，由{delivery}终止（版本 {number}）"
            en = f"{en}; {delivery} ended it, in release {number}"
        yield self._say(f"{zh}。", f"{en}.")
        if self._facts.presence is Presence.ENDED and self._facts.successors:
            uids = ", ".join(self._facts.successors)
            yield self._say(f"现由 {uids} 接替。", f"Today {uids} stand in its place.")

    def _people(self) -> Iterator[str]:
        facts = self._facts
        for one in facts.decisions:
            if one["what"] == "approved":
                day = _day(one["when"])
                yield self._say(
                    f"版本 {facts.state['release']} 由 {one['who']} 于 {day} 批准：{one['why']}。",
                    f"{one['who']} approved release {facts.state['release']} on {day}: "
                    f"{one['why']}.",
                )
        for one in facts.answers:
            action = self._of(ACTION_TITLES[Action(one["action"])])
            yield self._say(
                f"{one['who']} 答复了有关本要素的问题（{action}）：{one['why']}。",
                f"{one['who']} answered a question about it ({action}): {one['why']}.",
            )
        for one in facts.waivers:
            who, rule, until = one["approver"], one["rule"], _day(one["expires_at"])
            yield self._say(
                f"{who} 对规则 {rule} 的问题准予例外，至 {until}：{one['reason']}。",
                f"{who} waived a finding of rule {rule} until {until}: {one['reason']}.",
            )

    def _values(self) -> Iterator[str]:
        if not self._facts.values:
            return
        yield self._say("各属性的来源：", "Where its values come from:")
        for one in self._facts.values:
            name, day = self._attribute(one["attribute"]), _day(one["observed_at"])
            value = "" if one["attribute"] == GEOMETRY else f" {_shown(one['value'])}"
            delivery = self._delivery(one["source"], one["delivery"])
            yield self._say(
                f"  {name}{value}：{delivery}，观测于 {day}",
                f"  {name}{value}: {delivery}, observed {day}",
            )

    def _disputes(self) -> Iterator[str]:
        disputes = [one for one in self._facts.disputes if one["losers"]]
        if disputes:
            yield self._say("来源之间的分歧：", "Where sources disagreed:")
        for one in disputes:
            yield "  " + self._dispute(one)

    def _dispute(self, one: Mapping[str, Any]) -> str:
        name, rule = self._attribute(one["attribute"]), _RULES.get(one["rule"])
        why = one["rule"] if rule is None else self._of(rule)
        if one["decided_by"]:
            why += self._say(f"（{one['decided_by']}）", f": {one['decided_by']}")
        winner = self._source(one["source"])
        others = self._say("、", " and ").join(
            self._loser(loser, one["attribute"]) for loser in one["losers"]
        )
        return self._say(
            f"{name}：版本 {one['release']} 采用{winner}的值，未采用{others}；原因：{why}。",
            f"{name}: release {one['release']} took the value of {winner}, not {others}; {why}.",
        )

    def _loser(self, loser: Mapping[str, Any], attribute: str) -> str:
        source, value = self._source(loser["source"]), loser["value"]
        if value is None:
            shown = self._say("空值", "no value")
        elif attribute == GEOMETRY:
            shown = self._of(_GEOMETRY)
        else:
            shown = self._say(f"“{_shown(value)}”", f'"{_shown(value)}"')
        at = loser["observed_at"]
        when = "" if at is None else self._say(f"（{_day(at)} 观测）", f" (observed {_day(at)})")
        return self._say(f"{source}的{shown}{when}", f"{shown} of {source}{when}")

    def _lineage(self) -> Iterator[str]:
        facts = self._facts
        if facts.ancestors or facts.descendants:
            yield self._say("谱系：", "Lineage:")
        for one in (*facts.ancestors, *facts.descendants):
            event = _EVENTS.get(one.event)
            word = one.event if event is None else self._of(event)
            share = (
                ""
                if one.share is None
                else self._say(f"，占 {one.share:.0%}", f", {one.share:.0%}")
            )
            child = "" if one.child is None else f" → {one.child}"
            yield self._say(
                f"  版本 {one.release}：{word} {one.parent}{child}{share}",
                f"  release {one.release}: {word} {one.parent}{child}{share}",
            )

    def _delivery(self, source: str, delivery: str) -> str:
        title = self._source(source)
        return self._say(f"{title}（批次 {delivery}）", f"{title} (delivery {delivery})")

    def _source(self, name: str) -> str:
        title = self._facts.titles.get(f"source {name}")
        unknown = name or self._say("未知来源", "an unknown source")
        return unknown if title is None else self._of(title)

    def _attribute(self, name: str) -> str:
        title = self._facts.titles.get(name)
        return (
            self._of(_GEOMETRY if name == GEOMETRY else title)
            if title or name == GEOMETRY
            else name
        )

    def _of(self, title: Title | None) -> str:
        if title is None:
            return ""
        return title.zh if self._is_chinese else title.en

    def _say(self, zh: str, en: str) -> str:
        return zh if self._is_chinese else en


def _shown(value: object) -> str:
    """Return a value as people write it: a whole number without ``.0``."""
    is_whole = isinstance(value, float) and value.is_integer()
    return f"{value:.0f}" if is_whole else str(value)


def _day(moment: str | None) -> str:
    return "-" if moment is None else moment[:10]
