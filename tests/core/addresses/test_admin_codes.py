from pathlib import Path

import pandas as pd
import pytest

from cityframe.core.addresses import AdminCodes, read_admin_codes
from cityframe.core.addresses.admin_codes import parent
from cityframe.errors import DeclarationError


def edition(**names: str) -> pd.DataFrame:
    return pd.DataFrame({"code": [code[1:] for code in names], "name": list(names.values())})


def test_county_that_became_a_district_leads_to_it(codes: AdminCodes) -> None:
    assert codes.now("320323") == "320312"
    assert codes.now("330185") == "330112"
    assert codes.name("320312") == "铜山区"


def test_district_that_was_divided_has_no_successor(codes: AdminCodes) -> None:
    assert "330104" not in codes.current
    assert "330104" not in codes.successors
    assert codes.now("330104") == "330104"


def test_code_of_another_stem_is_no_successor_though_it_is_the_only_new_one() -> None:
    codes = AdminCodes.of_editions([edition(c130526="任县"), edition(c130505="任泽区")])
    assert codes.successors == {}


def test_two_new_codes_of_one_stem_are_no_successor() -> None:
    after = edition(c130105="平安区", c130181="平安市")
    assert AdminCodes.of_editions([edition(c130121="平安县"), after]).successors == {}


def test_city_before_province_tells_which_new_code_took_the_place() -> None:
    after = edition(c130105="平安区", c130205="平安区")
    codes = AdminCodes.of_editions([edition(c130121="平安县"), after])
    assert codes.successors == {"130121": "130105"}


def test_successors_are_followed_over_editions() -> None:
    editions = [edition(c130121="平安县"), edition(c130181="平安市"), edition(c130105="平安区")]
    codes = AdminCodes.of_editions(editions)
    assert codes.successors == {"130121": "130105", "130181": "130105"}


def test_code_that_comes_back_is_current() -> None:
    editions = [edition(c130121="平安县"), edition(c130181="平安市"), edition(c130121="平安县")]
    codes = AdminCodes.of_editions(editions)
    assert codes.current == {"130121"}
    assert codes.now("130181") == "130121"
    assert codes.now("130121") == "130121"


def test_codes_of_twelve_digits_are_those_of_their_level() -> None:
    table = pd.DataFrame(
        {"adcode": ["110000000000", "120110000000", "441900000000", "110101001000"],
         "name": ["北京市", "东丽区", "东莞市", "东华门街道"]}
    )  # fmt: skip
    codes = AdminCodes.of_editions([table])
    assert set(codes.names) == {"11", "120110", "4419", "110101001"}
    assert codes.current == set(codes.names)


def test_parents_of_towns_without_a_district_are_cities() -> None:
    assert [parent(code) for code in ("441900101", "110101001", "110101", "1101", "11")] == [
        "4419", "110101", "1101", "11", "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["code,title\n11,x\n", "name\nx\n", ""])
def test_table_without_codes_and_names_is_a_wrong_declaration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "areas.csv"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=r"areas\.csv"):
        read_admin_codes([path])


@pytest.mark.city
def test_upgrades_of_the_real_editions_are_found(real_tables: Path) -> None:
    folder = real_tables / "china_admin_codes"
    codes = read_admin_codes(
        [folder / f"modood_areas_{name}.csv" for name in ("2.0.0", "2.3.0", "2.4.0")]
    )
    # 县 to 市 and 区, with another code; moved to another city; divided, so none
    assert codes.name(codes.now("640122")) == "贺兰县"
    assert codes.name(codes.now("330185")) == "临安区"
    assert codes.name(codes.now("652923")) == "库车市"
    assert codes.now("220381") == "220184"
    assert "140202" not in codes.successors
