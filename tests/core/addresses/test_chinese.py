import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.addresses import AdminCodes, ChineseParser

WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


@pytest.fixture(scope="module")
def parser(codes: AdminCodes) -> ChineseParser:
    return ChineseParser(codes)


def said(parser: ChineseParser, text: str) -> dict[str, str]:
    address = parser.parse(text)
    names = ("division", "town", "street", "lane", "number", "building", "unit", "floor", "room",
             "remainder")  # fmt: skip
    return {name: getattr(address, name) for name in names if getattr(address, name)}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("上海市浦东新区沪松公路１１３６弄20号３楼",
         {"division": "310115", "street": "沪松公路", "lane": "1136", "number": "20",
          "floor": "3"}),
        ("上海市浦东新区沪松公路1136弄1号楼10楼",
         {"division": "310115", "street": "沪松公路", "lane": "1136", "building": "1",
          "floor": "10"}),
        ("北京市朝阳区常通路3号院二号楼一单元十八层1802室",
         {"division": "110105", "street": "常通路", "number": "3", "building": "2", "unit": "1",
          "floor": "18", "room": "1802"}),
        ("北京市东城区东直门外大街甲42号B座",
         {"division": "110101", "street": "东直门外大街", "number": "甲42", "building": "B"}),
        ("北京市朝阳区三里屯路11-13号",
         {"division": "110105", "street": "三里屯路", "number": "11-13"}),
        ("苏州市吴中区吴中大道12号之3望湖大厦(后门)",
         {"division": "320506", "street": "吴中大道", "number": "12",
          "remainder": "之3望湖大厦,后门"}),
        ("苏州市吴中区胥江路12之3号",
         {"division": "320506", "street": "胥江路", "number": "12-3"}),
        ("上海南京西路1601号", {"division": "31", "street": "南京西路", "number": "1601"}),
        ("广东省东莞市石碣镇达道路5号",
         {"division": "441900101", "town": "石碣镇", "street": "达道路", "number": "5"}),
        ("上海浦东新区世纪广场", {"division": "310115", "remainder": "世纪广场"}),
        ("", {}),
    ],
)  # fmt: skip
def test_parts_of_an_address(parser: ChineseParser, text: str, parts: dict[str, str]) -> None:
    assert said(parser, text) == parts


def test_known_names_of_streets_need_no_word_for_street(codes: AdminCodes) -> None:
    parser = ChineseParser(codes, frozenset({"外滩源"}))
    parts = {"division": "31", "street": "外滩源", "number": "8"}
    assert said(parser, "上海外滩源8号") == parts


def test_ranks_tell_divisions_where_there_are_no_codes() -> None:
    address = ChineseParser().parse("江苏省云川市青山区河口镇云溪大道12号")
    assert (address.province, address.city, address.district, address.town) == (
        "江苏省", "云川市", "青山区", "河口镇",
    )  # fmt: skip
    assert (address.street, address.number) == ("云溪大道", "12")


_number = st.integers(1, 9999).map(str)
_names = st.text("安宝昌德福光和华吉金康丽明宁平", min_size=2, max_size=5)
_optional = st.one_of(st.just(""), _number)
_PLACES = {"北京市朝阳区": "110105", "江苏苏州吴中区": "320506", "上海市浦东新区": "310115"}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_written_address_gives_its_parts_back(parser: ChineseParser, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(sorted(_PLACES)))
    street = data.draw(_names) + data.draw(st.sampled_from(["路", "街", "大道", "胡同", "南路"]))
    parts = {
        "street": street,
        "lane": data.draw(_optional),
        "number": data.draw(_number) + data.draw(st.sampled_from(["", "A", "-1", "甲"])),
        "building": data.draw(_optional),
        "unit": data.draw(_optional),
        "floor": data.draw(_optional),
        "room": data.draw(_optional),
    }
    words = {"lane": "{}弄", "number": "{}号", "building": "{}幢", "unit": "{}单元",
             "floor": "{}层", "room": "{}室"}  # fmt: skip
    text = (
        place
        + street
        + "".join(word.format(parts[name]) for name, word in words.items() if parts[name])
    )
    expected = {name: value for name, value in parts.items() if value}
    assert said(parser, text) == {"division": _PLACES[place], **expected}
    assert parser.parse(text.translate(WIDE)) == parser.parse(text)


@settings(max_examples=25, deadline=None)
@given(st.text("北京市朝阳区南路街道1２一十弄号楼层室座甲A-( )，", max_size=30))
def test_no_text_breaks_the_parser_and_width_says_nothing(parser: ChineseParser, text: str) -> None:
    assert parser.parse(text) == parser.parse(text.translate(WIDE))
