"""Read one YAML file into one frozen model, with the line of every error."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cityframe.errors import DeclarationError

Location = tuple[str | int, ...]


# libyaml is ten times faster; a workspace is read for every task and command
class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Reads YAML with the booleans of version 1.2: ``on``, ``no`` and ``y`` are plain text."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|false)$"), list("tf"))


class Declaration(BaseModel):
    """Base of all declared models: frozen, and no unknown field passes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_declaration(path: Path, model: type[ModelT]) -> ModelT:
    """Read a YAML file into a model.

    Parameters
    ----------
    path : Path
        The file; UTF-8.
    model : type of BaseModel
        The model to fill.

    Returns
    -------
    BaseModel
        A frozen instance.

    Raises
    ------
    DeclarationError
        If the file is missing, no YAML, has a key twice, or does not fit; with the line.
    """
    data, lines = read_yaml(path)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _declaration_error(path, error, lines) from error


def read_yaml(path: Path) -> tuple[Any, dict[Location, int]]:
    """Read a YAML file and note the line of each node.

    Returns
    -------
    tuple
        The plain data, and the line (from 1) of each location in it.

    Raises
    ------
    DeclarationError
        If the file is missing, no YAML, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Location, int] = {}
            if node is not None:
                _note_lines(path, node, (), lines)
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except FileNotFoundError as error:
        raise DeclarationError(found="no such file", where=str(path), remedy="create it") from error
    except UnicodeDecodeError as error:
        raise DeclarationError(
            found="not UTF-8", where=str(path), expected="UTF-8 text", remedy="save it as UTF-8"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DeclarationError(
            found=error.problem or "not YAML", where=f"{path}:{line}", expected="valid YAML"
        ) from error
    except yaml.YAMLError as error:
        raise DeclarationError(found=str(error), where=str(path), expected="valid YAML") from error
    return data, lines


def yaml_value(text: str) -> Any:
    """Read one value as it is written in a declaration.

    Raises
    ------
    DeclarationError
        If it is no YAML.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a safe loader)
    except yaml.YAMLError as error:
        raise DeclarationError(
            found=f"{text!r} is not YAML", expected="a value as in a declaration"
        ) from error


def _note_lines(path: Path, node: yaml.Node, at: Location, lines: dict[Location, int]) -> None:
    lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise DeclarationError(
                    found=f"key {name!r} stands twice",
                    where=f"{path}:{key.start_mark.line + 1}",
                    remedy="keep one of them",
                )
            seen.add(name)
            _note_lines(path, value, (*at, name), lines)
            lines[(*at, name)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(path, value, (*at, position), lines)


def line_of(location: Location, lines: dict[Location, int]) -> int:
    """Return the line of a location or of its nearest parent that stands in the file."""
    for length in range(len(location), -1, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return 1


def _declaration_error(
    path: Path, error: ValidationError, lines: dict[Location, int]
) -> DeclarationError:
    problems = [_problem(path, entry, lines) for entry in error.errors()]
    first = problems[0]
    if len(problems) == 1:
        return first
    rest = "".join(f"\n  {problem}" for problem in problems[1:])
    return DeclarationError(
        found=first.found, where=first.where, expected=first.expected, remedy=first.remedy + rest
    )


def _problem(path: Path, entry: Any, lines: dict[Location, int]) -> DeclarationError:
    # pydantic puts the tag of a union's branch into the location: take what the file has
    location: Location = ()
    for part in entry["loc"]:
        if (*location, part) in lines or entry["type"] in ("missing", "extra_forbidden"):
            location = (*location, part)
    field = ".".join(str(part) for part in location) or "the document"
    where = f"{path}:{line_of(location, lines)}"
    if entry["type"] == "missing":
        return DeclarationError(found=f"{field} is missing", where=where, remedy=f"add {field}")
    if entry["type"] == "extra_forbidden":
        return DeclarationError(
            found=f"{field} is not known here", where=where, remedy="remove it or mend its spelling"
        )
    found = entry.get("input")
    shown = f"{field} is {found!r}" if isinstance(found, str | int | float | bool) else field
    message = str(entry["msg"]).removeprefix("Value error, ")
    return DeclarationError(found=shown, where=where, expected=message[:1].lower() + message[1:])
