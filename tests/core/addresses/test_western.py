import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityframe.core.addresses import WesternParser
from cityframe.core.addresses.western import western_street_key


def said(text: str) -> tuple[str, str, str, str, str]:
    address = WesternParser().parse(text)
    return address.number, address.street, address.unit, address.floor, address.remainder


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("123A Main St, Unit 4", ("123A", "MAIN ST", "4", "", "")),
        ("12-14 King Street", ("12-14", "KING STREET", "", "", "")),
        ("15 - 17 Argyle Place", ("15-17", "ARGYLE PLACE", "", "", "")),
        ("9(GF) ABBEY STRAND", ("9", "ABBEY STRAND", "", "GF", "")),
        ("8B ABERCROMBY PLACE", ("8B", "ABERCROMBY PLACE", "", "", "")),
        ("43-45 NICOLSON STREET, WE", ("43-45", "NICOLSON STREET", "", "", "WE")),
        ("33-A Harding St", ("33-A", "HARDING ST", "", "", "")),
        ("6-1/2 Acacia St", ("6-1/2", "ACACIA ST", "", "", "")),
        ("(4) HAYMARKET", ("4", "HAYMARKET", "", "", "")),
        ("18(GF)-20 GEORGE STREET", ("18-20", "GEORGE STREET", "", "GF", "")),
        ("61/6-7 LEITH STREET", ("61", "LEITH STREET", "6-7", "", "")),
        ("12/4 High St", ("12", "HIGH ST", "4", "", "")),
        ("Flat 3, 12 Main St", ("12", "MAIN ST", "3", "", "")),
        ("20 Prospect St Apt 3, Cambridge, MA", ("20", "PROSPECT ST", "3", "", "CAMBRIDGE, MA")),
        ("2 N Point Blvd", ("2", "N POINT BLVD", "", "", "")),
        ("180 Unit St", ("180", "UNIT ST", "", "", "")),
        ("55 ABBEYHILL", ("55", "ABBEYHILL", "", "", "")),
        ("Advocate's Close", ("", "ADVOCATE'S CLOSE", "", "", "")),
        ("", ("", "", "", "", "")),
    ],
)
def test_parts_of_an_address(text: str, parts: tuple[str, ...]) -> None:
    assert said(text) == parts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("St. Leonard's Street", "SAINT LEONARDS ST"),
        ("Massachusetts Avenue", "Massachusetts Ave."),
        ("29 ST. LEONARD'S STREE", "29 Saint Leonards Street"),
        ("First Street", "1st St"),
        ("North Point Boulevard", "N POINT BLVD"),
        ("Princes Street West", "PRINCES ST W"),
    ],
)
def test_ways_of_writing_a_street_have_one_key(one: str, other: str) -> None:
    assert western_street_key(one) == western_street_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Saint Street", "Street"), ("Main St", "Main Rd"), ("1st St", "2nd St"),
     ("Park St", "Park St W"), ("Court Street", "Street Court")],
)  # fmt: skip
def test_different_streets_have_different_keys(one: str, other: str) -> None:
    assert western_street_key(one) != western_street_key(other)


_words = st.text("ABCDEFGHIKLMOPRTU", min_size=4, max_size=9).map(str.capitalize)


@settings(max_examples=25, deadline=None)
@given(
    number=st.from_regex(r"[1-9][0-9]{0,3}([A-F]|-[1-9][0-9]?)?", fullmatch=True),
    name=_words.filter(lambda word: word.upper() not in ("UNIT", "FLAT", "ROOM", "SUITE")),
    kind=st.sampled_from(["St", "Avenue", "Pl", "Court"]),
    unit=st.one_of(st.just(""), st.integers(1, 99).map(str)),
)
def test_a_written_address_gives_its_parts_back(
    number: str, name: str, kind: str, unit: str
) -> None:
    text = f"{number} {name} {kind}" + (f", Unit {unit}" if unit else "")
    assert said(text) == (number, f"{name} {kind}".upper(), unit, "", "")
