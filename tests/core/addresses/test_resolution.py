import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.addresses import Gazetteer, Reason, Style, parts_of, resolve
from cityframe.core.addresses.gazetteer import keyed_parts


def parts(*rows: str) -> pd.DataFrame:
    """Addresses as ``division street number building room``; a dash is nothing."""
    names = ["division", "street", "number", "building", "room"]
    values = [[one.replace("_", " ") for one in row.split()] for row in rows]
    filled = [[*row, *["-"] * (len(names) - len(row))] for row in values]
    return parts_of(pd.DataFrame(filled, columns=names).replace("-", ""))


FEATURES = parts(
    "110101 建国路 1", "110105 建国路 1", "110105 建国路 12 1", "110105 建国路 12 2",
    "110105 酒仙桥北路 7", "110105 酒仙桥南路 7", "110105 花家地街 5", "110105 花家地街 5",
    "110105 广渠路 9 3 302",
)  # fmt: skip
CHINESE = Gazetteer.of(FEATURES, Style.CHINESE)


def outcome(row: str, gazetteer: Gazetteer = CHINESE) -> tuple[int, str]:
    resolved = resolve(parts(row), gazetteer).iloc[0]
    return int(resolved["position"]), str(resolved["reason"])


@pytest.mark.parametrize(
    ("row", "position"),
    [("110101 建国路 1", 0), ("110105 建国路 1", 1), ("110105 建国路 01", 1),
     ("110105 建国路 12 2", 3), ("110105 建国路 12 2 808", 3), ("110105 酒仙桥北路 7", 4),
     ("110105012 酒仙桥北路 7", 4), ("11 酒仙桥南路 7", 5), ("- 酒仙桥南路 7", 5),
     ("110105 广渠路 9", 8)],
)  # fmt: skip
def test_address_finds_its_feature(row: str, position: int) -> None:
    assert outcome(row) == (position, "")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("110105 - 1", Reason.NO_STREET),
        ("110105 建国路 -", Reason.NO_NUMBER),
        ("110105 不存在路 1", Reason.UNKNOWN_STREET),
        ("110101 酒仙桥北路 7", Reason.UNKNOWN_STREET),
        ("110105 酒仙桥东路 7", Reason.UNKNOWN_STREET),
        ("110105 花甲地街 5", Reason.UNKNOWN_STREET),
        ("110105 建国路 11", Reason.UNKNOWN_NUMBER),
        ("110105 建国路 12 3", Reason.OTHER_UNIT),
        ("110105 建国路 12", Reason.SEVERAL),
        ("11 建国路 1", Reason.SEVERAL),
        ("110105 花家地街 5", Reason.SEVERAL),
    ],
)
def test_address_without_a_certain_feature_says_why(row: str, reason: Reason) -> None:
    assert outcome(row) == (-1, reason)


def test_the_two_best_candidates_are_told() -> None:
    resolved = resolve(parts("110105 花家地街 5"), CHINESE).iloc[0]
    assert (resolved["best"], resolved["second"]) == (6, 7)
    assert resolved["score"] == resolved["second_score"] == 1.0
    assert resolved["margin"] == 0.0


def test_other_names_of_a_street_lead_to_it() -> None:
    aliases = pd.DataFrame(
        {
            "division": ["110105", "110105"],
            "name": ["建国路", "无此路"],
            "alias": ["通惠路", "旧路"],
        }
    )
    gazetteer = Gazetteer.of(FEATURES, Style.CHINESE, aliases)
    assert outcome("110105 通惠路 1", gazetteer) == (1, "")
    assert outcome("110101 通惠路 1", gazetteer) == (-1, Reason.UNKNOWN_STREET)
    assert outcome("110105 旧路 1", gazetteer) == (-1, Reason.UNKNOWN_NUMBER)


WESTERN = Gazetteer.of(
    parts(
        "- ABERCROMBY_PLACE 8B", "- MAIN_ST 12-14", "- MAIN_ST 12", "- PARK_ST 3", "- PARK_RD 3",
        "LEITH HIGH_ST 4", "LEITH_WALK HIGH_ST 4",
    ),
    Style.WESTERN,
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("- Abercrombey_Pl 8B", (0, "")),
        ("- Abercrombie_Pl 8B", (-1, Reason.UNKNOWN_STREET)),
        ("- Abercromby_Place 8", (-1, Reason.UNKNOWN_NUMBER)),
        ("- Main_Street 12-14", (1, "")),
        ("- Main_Street 14", (-1, Reason.UNKNOWN_NUMBER)),
        ("- Main 12", (2, "")),
        ("- Park_St_Lane 3", (-1, Reason.UNKNOWN_STREET)),
        ("- Main_Road 12", (-1, Reason.UNKNOWN_STREET)),
        ("- Park 3", (-1, Reason.SEVERAL)),
        ("LEITH High_Street 4", (5, "")),
        ("- High_Street 4", (-1, Reason.SEVERAL)),
    ],
)
def test_western_streets(row: str, found: tuple[int, str]) -> None:
    assert outcome(row, WESTERN) == found


def test_nothing_against_nothing() -> None:
    nothing = parts_of(pd.DataFrame({"street": []}))
    assert resolve(nothing, CHINESE).empty
    assert resolve(FEATURES, Gazetteer.of(nothing, Style.CHINESE))["position"].eq(-1).all()


_number = st.from_regex(r"0?[1-3][0-2]?([A-B]|-[AB]|-[1-2])?", fullmatch=True)
_row = st.fixed_dictionaries(
    {
        "division": st.sampled_from(["", "11", "110101", "110105"]),
        "street": st.sampled_from(
            ["MAIN ST", "Main Street", "MAINN ST", "ELMWOOD AVE", "ELMWOD AVE"]
        ),
        "number": _number,
        "unit": st.sampled_from(["", "1", "2"]),
    }
)
_table = st.lists(_row, max_size=8).map(
    lambda rows: parts_of(pd.DataFrame(rows, columns=["division", "street", "number", "unit"]))
)


@settings(max_examples=25, deadline=None)
@given(records=_table, features=_table)
def test_no_other_house_number_district_or_unit_is_ever_given(
    records: pd.DataFrame, features: pd.DataFrame
) -> None:
    gazetteer = Gazetteer.of(features, Style.WESTERN)
    resolved = resolve(records, gazetteer)
    found = resolved[resolved["position"] >= 0]
    ours = keyed_parts(records, Style.WESTERN).loc[found.index]
    theirs = gazetteer.points.loc[found["position"]].set_index(found.index)
    assert (ours["number"] == theirs["number"]).all()
    for name in ("unit", "division"):
        pairs = zip(ours[name], theirs[name], strict=True)
        assert all(a.startswith(b) or b.startswith(a) for a, b in pairs)
    assert (resolved["reason"] == "").equals(resolved["position"] >= 0)


@settings(max_examples=25, deadline=None)
@given(features=_table)
def test_features_resolve_to_themselves_or_to_nothing(features: pd.DataFrame) -> None:
    resolved = resolve(features, Gazetteer.of(features, Style.WESTERN))
    found = resolved["position"] >= 0
    assert (resolved.loc[found, "position"] == resolved.index[found]).all()
