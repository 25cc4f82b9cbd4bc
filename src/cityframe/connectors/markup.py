"""XML before anything else parses it: its root element; no document type, so no entities."""

from collections.abc import Iterable
from xml.parsers import expat

from cityframe.errors import QuarantinedError


def xml_root(chunks: Iterable[bytes], *, where: str) -> str:
    """Return the name of the root element, with its prefix, and read no further.

    Entities can be declared in a document type only, and it stands before the root element.

    Parameters
    ----------
    chunks : iterable of bytes
        The document from its start.

    Raises
    ------
    QuarantinedError
        If the document has a document type, or is no XML.
    """
    roots: list[str] = []
    doctypes: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda name, *_: doctypes.append(name)
    parser.StartElementHandler = lambda name, _: roots.append(name)
    try:
        for chunk in chunks:
            # small steps: a document type is seen before what it declares is used
            for start in range(0, len(chunk), 4096):
                parser.Parse(chunk[start : start + 4096], False)
                if doctypes:
                    raise QuarantinedError(
                        found=f"a document type ({doctypes[0]!r})",
                        where=where,
                        expected="XML without document type and entities",
                        remedy="have the source leave it out",
                    )
                if roots:
                    return roots[0]
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise QuarantinedError(
            found=f"no XML ({error})", where=where, expected="well-formed XML in UTF-8"
        ) from error
    raise QuarantinedError(found="no root element", where=where, expected="well-formed XML")
