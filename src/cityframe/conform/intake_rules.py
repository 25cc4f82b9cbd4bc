"""The rules of intake: what a delivery must meet before the workspace's rules look at it."""

from dataclasses import dataclass

from cityframe.model.finding import DefectClass, Gate, Measure
from cityframe.model.text import Title

KIND = "intake"
"""Kind of all the findings of this room."""


@dataclass(frozen=True, slots=True)
class IntakeRule:
    """One thing that intake demands of a delivery."""

    id: str
    title: Title
    measure: Measure
    defect_class: DefectClass
    gate: Gate


_MEASURES = {
    "4": "number of duplicate feature instances",
    "10": "number of items not compliant with the rules of the conceptual schema",
    "16": "number of items not in conformance with their value domain",
    "19": "number of physical structure conflicts",
    "65": "number of incorrect attribute values",
}

_TABLE = """
unknown-column    10 A block   未声明的列         column not declared
missing-column    10 A block   缺少列             column missing
count             10 A block   记录数超出范围     number of records out of range
crs               10 A block   坐标系与声明不符   coordinate system not as declared
crs-accuracy      10 D note    坐标转换精度低     transformation coarser than the source
unreadable        19 B block   记录无法读取       record not readable
type              19 B block   值的类型错误       value not of its type
unknown-code      16 B block   未知代码           unknown code
control-character 65 B block   文本含控制字符     control character in text
line-break        65 D note    文本含换行或制表符 line break or tab in text
unknown-operation 16 B block   未知操作           unknown operation
geometry-text     19 B block   几何文本无法读取   geometry text not readable
geometry-type     10 B block   几何类型错误       wrong geometry type
missing-z         10 B block   缺少高程           height missing
dropped-geometry  10 D note    几何或维度未采用   geometry or dimension left out
coordinates       16 B block   坐标错误           coordinates out of place
missing-key       10 B block   缺少主键           key missing
duplicate-key     4  B block   主键重复           key stands twice
duplicate-record  4  C block   记录重复           record stands twice
unmatched-join    10 C review  未匹配到要素       no feature to join
ambiguous-join    10 C review  匹配到多个要素     several features to join
"""


def _rule(line: str) -> IntakeRule:
    name, measure, weight, gate, zh, en = line.split(maxsplit=5)
    return IntakeRule(
        id=f"{KIND}.{name}",
        title=Title(zh=zh, en=en),
        measure=Measure("ISO 19157:2013", measure, _MEASURES[measure]),
        defect_class=DefectClass(weight),
        gate=Gate(gate),
    )


INTAKE_RULES: dict[str, IntakeRule] = {
    rule.id: rule for rule in map(_rule, _TABLE.strip().splitlines())
}
"""All rules of intake by id. One that blocks returns the records that fail it; one about the
whole layer quarantines the delivery."""
