"""XML: the root element, and no entities."""

import pytest

from cityframe.connectors.markup import xml_root
from cityframe.errors import QuarantinedError


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?><!-- c --><gml:Root xmlns:gml="g"><a></gml:Root>',
        b"\xef\xbb\xbf<gml:Root/>",
        "<?xml version='1.0' encoding='UTF-16'?><gml:Root/>".encode("utf-16"),
        b" " * 10_000 + b"<gml:Root>",
    ],
)
def test_root_is_named_and_nothing_read_behind_it(body: bytes) -> None:
    assert xml_root([body], where="a.gml") == "gml:Root"


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_document_type_is_refused_wherever_it_stands(step: int) -> None:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    comment = f"<!-- {'x' * 5000} -->"
    body = f'{comment}<!DOCTYPE r [<!ENTITY l0 "lol">{lol}]><r>&l9;</r>'.encode()
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    with pytest.raises(QuarantinedError, match=r"a\.gml: a document type \('r'\)"):
        xml_root(chunks, where="a.gml")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!-- only",
        b"{}",
        b'<?xml version="1.0" encoding="x"?>',
        b'<?xml version="1.0" encoding="GBK"?><r/>',
    ],
)
def test_what_is_no_xml_is_refused(body: bytes) -> None:
    with pytest.raises(QuarantinedError, match=r"a\.gml: no (XML|root element)"):
        xml_root([body], where="a.gml")
