"""XML before anything else parses it: its root element; no document type, so no entities."""

from collections.abc import Iterable, Iterator
from xml.parsers import expat

from cityframe.errors import QuarantinedError

_STEP = 4096


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
    for step in _steps(chunks):
        problem: Exception | None = None
        try:
            parser.Parse(step, False)
        except (expat.ExpatError, LookupError, ValueError) as error:
            # the last two for an encoding that the parser does not have, GBK among them
            problem = error
        if doctypes:
            raise QuarantinedError(
                found=f"a document type ({doctypes[0]!r})",
                where=where,
                expected="XML without document type and entities",
                remedy="have the source leave it out",
            )
        if roots:
            return roots[0]
        if problem is not None:
            raise QuarantinedError(
                found=f"no XML ({problem})",
                where=where,
                expected="well-formed XML in UTF-8",
                remedy="have the source export it as UTF-8",
            ) from problem
    raise QuarantinedError(found="no root element", where=where, expected="well-formed XML")


def _steps(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut chunks small, so that a document type is seen before what it declares is used."""
    for chunk in chunks:
        for start in range(0, len(chunk), _STEP):
            yield chunk[start : start + _STEP]
