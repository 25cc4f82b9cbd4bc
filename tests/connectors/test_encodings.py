"""Text encodings: names, language ids, guesses."""

import pytest

from cityframe.connectors.encodings import codec_name, guessed_encoding, language_encoding
from cityframe.errors import DeclarationError, QuarantinedError


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"), ("utf8", "utf-8"), ("65001", "utf-8"), ("GBK", "gb18030"),
        ("GB2312", "gb18030"), ("ANSI 936", "gb18030"), ("CP936", "gb18030"), ("936", "gb18030"),
        ("GB18030", "gb18030"), ("1252", "cp1252"), ("8859_1", "iso8859-1"),
        ("ISO-8859-1", "iso8859-1"), ("ISO 88591", "iso8859-1"), ("Big5", "big5"),
        ("OEM 437", "cp437"), ("windows-1251", "cp1251"),
    ],
)  # fmt: skip
def test_declared_names_are_understood(declared: str, codec: str) -> None:
    assert codec_name(declared, where="a feed") == codec


def test_unknown_name_is_an_error_of_the_declaration() -> None:
    for name in ("klingon", "hex", ""):
        with pytest.raises(DeclarationError, match=f"a feed: encoding '{name}'"):
            codec_name(name, where="a feed")


def test_language_ids_name_an_encoding_or_none() -> None:
    assert language_encoding(0x4D) == "gb18030"
    assert language_encoding(0x03) == "cp1252"
    assert language_encoding(0x57) == ""
    assert language_encoding(0) == ""


def test_bytes_are_taken_for_what_they_strictly_are() -> None:
    text = "黄浦区人民广场，南京东路１００号"
    assert guessed_encoding([text.encode("utf-8")], where="a.csv") == "utf-8"
    assert guessed_encoding([text.encode("gbk")], where="a.csv") == "gb18030"
    assert guessed_encoding([b"plain"], where="a.csv") == "utf-8"


def test_letters_cut_between_parts_are_whole() -> None:
    body = "街道".encode()
    assert guessed_encoding([body[:2], body[2:]], where="a.csv") == "utf-8"


@pytest.mark.parametrize("text", ["Café Olé, rue de l'Église", "Größe über alle Maßen", "£5 ±2"])
def test_western_text_is_not_taken_for_chinese(text: str) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.csv: text that is neither UTF-8"):
        guessed_encoding([text.encode("cp1252")], where="a.csv")
