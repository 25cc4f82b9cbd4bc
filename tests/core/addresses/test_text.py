import pytest

from cityframe.core.addresses.text import folded, folded_chinese, numeral_value


@pytest.mark.parametrize(
    ("numeral", "value"),
    [("十", 10), ("二十三", 23), ("二〇三", 203), ("一百零五", 105), ("两千", 2000), ("一", 1)],
)
def test_numerals_are_counted_or_spelled(numeral: str, value: int) -> None:
    assert numeral_value(numeral) == value


def test_width_case_and_dashes_take_one_form() -> None:
    assert folded("  １２ － １４　ｍａｉｎ  st ") == "12-14 MAIN ST"


@pytest.mark.parametrize(
    ("text", "form"),
    [("三 号 院", "3号院"), ("三里屯路", "三里屯路"), ("十号线", "十号线"), ("第十二层", "12层"),
     ("中山三路二十一号", "中山三路21号")],
)  # fmt: skip
def test_only_numerals_that_count_a_part_become_digits(text: str, form: str) -> None:
    assert folded_chinese(text) == form
