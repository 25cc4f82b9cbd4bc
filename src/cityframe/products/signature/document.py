"""Small JSON files: read strictly, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.products.signature.canonical import read_strictly

MAX_BYTES = 4 * 1024 * 1024
"""No file of keys or signatures comes near it; a greater one is not read."""


class Part(BaseModel):
    """An object of a file: no field more, no value turned into another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _printable(text: str) -> str:
    if not text.isprintable():
        # names and reasons are shown on terminals
        message = "text without control characters"
        raise ValueError(message)
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_printable)]
PartT = TypeVar("PartT", bound=Part)


def read_part(path: Path, kind: type[PartT], what: str) -> PartT:
    """Read a file into a model.

    Raises
    ------
    DeclarationError
        If there is no such file.
    IntegrityError
        If it is not what it should be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DeclarationError(
            where=str(path), found=error.strerror or "no file", expected=what
        ) from error
    return parse_part(content, kind, what, where=str(path))


def parse_part(content: bytes, kind: type[PartT], what: str, *, where: str) -> PartT:
    """Read bytes into a model.

    Raises
    ------
    IntegrityError
        If they are not what they should be.
    """
    if len(content) > MAX_BYTES:
        raise IntegrityError(where=where, found=f"more than {MAX_BYTES} bytes", expected=what)
    try:
        return as_part(read_strictly(content.decode()), kind, what, where=where)
    except ValueError as error:
        raise IntegrityError(where=where, found=str(error), expected=what) from error


def as_part(data: Any, kind: type[PartT], what: str, *, where: str) -> PartT:
    """Turn what stood in JSON into a model.

    Raises
    ------
    IntegrityError
        If it does not fit, naming the field.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise IntegrityError(
            where=where, found=f"{field}: {message}" if field else message, expected=what
        ) from error


def json_text(data: Mapping[str, Any]) -> str:
    """Return JSON for a file: keys sorted, two spaces a level, a line end."""
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_new(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet.

    Raises
    ------
    DeclarationError
        If it is there, or can't be written.
    """
    _write(path, content, mode, is_new=True)


def replace_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file in the place of the one that may be there.

    Raises
    ------
    DeclarationError
        If it can't be written.
    """
    _write(path, content, mode, is_new=False)


def _write(path: Path, content: bytes, mode: int, *, is_new: bool) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            if is_new:
                # a link, unlike a renaming, never takes the place of another file
                path.hardlink_to(temporary)
            else:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise DeclarationError(
            where=str(path),
            found="a file that stands there already",
            remedy="give another name; nothing is overwritten",
        ) from error
    except OSError as error:
        raise DeclarationError(
            where=str(path), found=error.strerror or str(error), expected="a file to write"
        ) from error
