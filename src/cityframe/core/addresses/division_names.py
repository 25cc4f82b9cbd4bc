"""The names that an administrative division goes by: in full, and as people shorten them."""

import re

PROVINCE, CITY, COUNTY, TOWN = 2, 4, 6, 9
"""Lengths of a division's code, and so the levels."""

GENERIC = frozenset(
    {"市辖区", "县", "城区", "省直辖县级行政区划", "自治区直辖县级行政区划", "省直辖县级行政单位"}
)
"""Names that stand in the tables and name no place."""

_PEOPLES = (
    "蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|高山|拉祜|水|"
    "东乡|纳西|景颇|柯尔克孜|土|达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|塔吉克|怒|乌孜别克|"
    "俄罗斯|鄂温克|德昂|保安|裕固|京|塔塔尔|独龙|鄂伦春|赫哲|门巴|珞巴|基诺|各"
)
_AUTONOMOUS = re.compile(rf"(?<=..)(?:(?:{_PEOPLES})族?)*自治[州县旗区]$")
_SUFFIX = {
    PROVINCE: re.compile(r"(?:省|市|特别行政区)$"),
    CITY: re.compile(r"(?:市|地区|盟|林区)$"),
    COUNTY: re.compile(r"(?:新区|林区|特区|区|县|市|旗)$"),
    TOWN: re.compile(r"(?:民族乡|街道办事处|街道|地区|镇|乡|苏木)$"),
}
_NEW_TECHNOLOGY = re.compile(r"高新技术(?:产业)?(?:开发区|园区)$")
_ECONOMIC = re.compile(r"经济(?:技术)?开发区$")
_SHORTEST = 2
_ZONE = re.compile(
    r"(?:国家级?|省级|经济|高新|技术|产业|工业|农业|科技|综合|旅游|示范|现代|新|开发|管理)*(?:园?区|园|基地|管委会)"
)
RANKS = ("区", "县", "市", "新区")
"""What stands after the stem of a county; an upgrade changes it and leaves the stem."""


def stem(name: str, level: int) -> str:
    """Return a name without what it says of its rank: 福田区 gives 福田, 延边朝鲜族自治州 延边.

    A stem has at least two characters; else the name stays whole (城区, 任县).
    """
    shorter = _AUTONOMOUS.sub("", name)
    if shorter == name:
        shorter = _SUFFIX[level].sub("", name)
    return shorter if len(shorter) >= _SHORTEST else name


def full_names(name: str, level: int, city: str = "") -> set[str]:
    """Return the names that say a division and its rank, so that nothing else is meant.

    ``city`` is the stem of the city above: 合肥高新技术产业开发区 is its 高新区, 新站高新区 is not.
    """
    if level == TOWN and _ZONE.fullmatch(name):
        return set()  # 开发区: there is one in every city, listed as a town or not
    names = {name}
    if level == TOWN and name.endswith("街道"):
        names |= {f"{name}办", f"{name}办事处"}
    if level == TOWN and name.endswith("街道办事处"):
        names |= {name[: -len("办事处")]}
    zone = name.removeprefix(city).removeprefix("市") if level == COUNTY and city else ""
    if _NEW_TECHNOLOGY.match(zone):
        names |= {"高新区", "高新技术产业开发区", "高新技术开发区", "高新开发区"}
    if _ECONOMIC.match(zone):
        names |= {"经济技术开发区", "经济开发区", "经开区"}
    return names


def short_names(name: str, level: int) -> set[str]:
    """Return the names that leave out the rank; they need care, for roads are called so too."""
    shorter = stem(name, level)
    return set() if shorter == name or _ZONE.fullmatch(name) else {shorter}


def upgraded_names(name: str) -> set[str]:
    """Return what a county would be called in another rank: 铜山县 gives 铜山区 and others."""
    shorter = stem(name, COUNTY)
    if shorter == name or name.endswith("自治县"):
        return set()
    return {shorter + rank for rank in RANKS} - {name}
