"""The release notes that go with a package, in Chinese and English, made from its totals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cityframe.model.change import ChangeKind
from cityframe.model.release import ReleaseKind
from cityframe.model.text import Title
from cityframe.products.package.content import PackageHead
from cityframe.products.package.manifest import PackagedLayer, PackageKind


@dataclass(frozen=True)
class _Words:
    kinds: dict[PackageKind, str]
    inverse: str
    release: str
    rollback: str
    parent: str
    created_at: str
    valid_at: str
    cycle: str
    digest: str
    layer: str
    count: str
    changes: dict[ChangeKind, str]
    total: str
    colon: str
    pick: Callable[[Title], str]


_ZH = _Words(
    kinds={PackageKind.FULL: "全量更新包", PackageKind.CHANGE: "增量更新包"},
    inverse="反向",
    release="版本",
    rollback="回退版本",
    parent="基于版本",
    created_at="发布时间",
    valid_at="现势性时点",
    cycle="更新周期",
    digest="版本摘要",
    layer="图层",
    count="要素数",
    changes={
        ChangeKind.NEW: "新增",
        ChangeKind.REMOVED: "删除",
        ChangeKind.MOVED: "平移",
        ChangeKind.RESHAPED: "改形",
        ChangeKind.ATTRIBUTES: "属性变更",
    },
    total="合计",
    colon="：",
    pick=lambda title: title.zh,
)
_EN = _Words(
    kinds={PackageKind.FULL: "full package", PackageKind.CHANGE: "change package"},
    inverse="inverse ",
    release="Release",
    rollback="Rollback release",
    parent="Base release",
    created_at="Released at",
    valid_at="Reference time",
    cycle="Cycle",
    digest="Release digest",
    layer="Layer",
    count="Features",
    changes={
        ChangeKind.NEW: "New",
        ChangeKind.REMOVED: "Removed",
        ChangeKind.MOVED: "Moved",
        ChangeKind.RESHAPED: "Reshaped",
        ChangeKind.ATTRIBUTES: "Attributes",
    },
    total="Total",
    colon=": ",
    pick=lambda title: title.en,
)
_LANGUAGES = {"zh": _ZH, "en": _EN}


def release_notes(head: PackageHead, layers: Sequence[PackagedLayer]) -> dict[str, str]:
    """Return the notes by language (``zh``, ``en``) as Markdown."""
    return {language: _notes(head, layers, words) for language, words in _LANGUAGES.items()}


def _notes(head: PackageHead, layers: Sequence[PackagedLayer], words: _Words) -> str:
    release = head.release
    name = words.rollback if release.kind is ReleaseKind.ROLLBACK else words.release
    facts = [(words.created_at, release.created_at)]
    if release.valid_at:
        facts.append((words.valid_at, release.valid_at))
    facts.append((words.cycle, release.cycle))
    if head.parent:
        facts.append((words.parent, f"{head.parent.number} `{head.parent.digest}`"))
    facts.append((words.digest, f"`{release.digest}`"))
    kind = (words.inverse if head.inverse else "") + words.kinds[head.kind]
    parts = [
        f"# {words.pick(head.title)} · {name} {release.number} · {kind}",
        "\n".join(f"- {label}{words.colon}{value}" for label, value in facts),
    ]
    if remarks := words.pick(head.remarks).strip():
        parts.append(remarks)
    parts.append(_table(layers, words))
    return "\n\n".join(parts) + "\n"


def _table(layers: Sequence[PackagedLayer], words: _Words) -> str:
    counts = [
        [one.after.count if one.after else 0, *(one.changes.get(kind, 0) for kind in words.changes)]
        for one in layers
    ]
    titles = [words.pick(one.contract.title) for one in layers]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    lines = [
        [words.layer, words.count, *words.changes.values()],
        ["---", *["---:"] * len(totals)],
        *([_cell(title), *map(str, row)] for title, row in zip(titles, counts, strict=True)),
        [words.total, *map(str, totals)],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
