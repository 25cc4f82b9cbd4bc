import pytest

from cityframe.core.addresses import AdminCodes
from cityframe.core.addresses.divisions import DivisionFinder
from cityframe.core.addresses.text import folded_chinese


@pytest.fixture(scope="module")
def finder(codes: AdminCodes) -> DivisionFinder:
    return DivisionFinder(codes)


@pytest.mark.parametrize(
    ("text", "division"),
    [
        ("北京市朝阳区建国路88号", "110105"),
        ("北京朝阳建国路88号", "110105"),
        ("中国 北京市 东城区", "110101"),
        ("内蒙古呼和浩特新城区", "150102"),
        ("广西南宁市青秀区民族大道", "450103"),
        ("吉林吉林市昌邑区", "220202"),
        ("延边延吉市", "222401"),
        ("上海浦东陆家嘴环路1000号", "310115"),
        ("上海市浦东新区陆家嘴街道世纪大道8号", "310115004"),
        ("东莞市石碣镇", "441900101"),
        ("江苏省铜山县", "320312"),
        ("徐州铜山市", "320312"),
        ("杭州市江干区钱江路", "330104"),
        ("某公司,杭州市临安区", "330112"),
        ("朝阳区望京路4号", "110105"),
        ("杭州市科技园临安区", "330112"),
    ],
)
def test_division_is_the_deepest_that_is_named(
    finder: DivisionFinder, text: str, division: str
) -> None:
    assert finder.find(folded_chinese(text)).division == division


@pytest.mark.parametrize(
    ("text", "candidates"),
    [("朝阳区建国路88号", ("110105", "220104")), ("鼓楼区中山路", ("320106", "320302"))],
)
def test_name_that_several_have_is_none(
    finder: DivisionFinder, text: str, candidates: tuple[str, ...]
) -> None:
    found = finder.find(text)
    assert found.candidates == candidates
    assert found.division in ("", "32")


@pytest.mark.parametrize(
    "text",
    ["南京西路1601号", "北京路8号", "朝阳门外大街1号", "吴中大厦", "苏州河北岸", "人民路1号"],
)
def test_roads_that_are_called_after_places_are_not_there(
    finder: DivisionFinder, text: str
) -> None:
    assert finder.find(text).division == ""


def test_city_of_the_records_settles_what_several_have(finder: DivisionFinder) -> None:
    assert finder.find("朝阳区建国路88号", within="11").division == "110105"
    assert finder.find("朝阳区建国路88号", within="2201").division == "220104"
    assert finder.find("建国路88号", within="11").division == "11"
    assert finder.find("长春市朝阳区", within="11").division == "220104"
