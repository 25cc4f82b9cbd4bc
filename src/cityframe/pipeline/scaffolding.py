"""Write the first files of a new rule kind: they run as they stand, and pass the conformance."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from cityframe.errors import DeclarationError
from cityframe.rules.registry import rule_kinds

FIRST_NUMBER = 1000
"""Numbers of other packages' kinds begin here; those below are the project's."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TEMPLATES = "rule_scaffold"


def scaffold_package(name: str, into: Path) -> list[Path]:
    """Write a package that offers a kind, in the folder ``into/cityframe-NAME``.

    Parameters
    ----------
    name : str
        Of the kind: lower case, digits and ``_``.
    into : Path
        Made where it is not there.

    Returns
    -------
    list of Path
        The files: ``pyproject.toml`` with the entry point, the kind's module, and its cases,
        sowing and test.

    Raises
    ------
    DeclarationError
        If the name does not fit or is taken, or a file is there.
    """
    package = f"cityframe_{name}"
    root = into / package.replace("_", "-")
    module = root / "src" / package
    return _write(
        name,
        {
            root / "pyproject.toml": "pyproject.toml.txt",
            module / "__init__.py": "",
            module / f"{name}.py": "kind.py.txt",
            root / "tests" / f"{name}.yaml": "cases.yaml.txt",
            root / "tests" / "sowing.py": "sowing.py.txt",
            root / "tests" / "test_conformance.py": "test_conformance.py.txt",
        },
        number=max([FIRST_NUMBER - 1, *_numbers()]) + 1,
        group="other",
    )


def scaffold_built_in(name: str, tree: Path) -> list[Path]:
    """Write module, cases and sowing of a built-in kind at their places in the source tree.

    Raises
    ------
    DeclarationError
        If ``tree`` is no source tree, the name does not fit or is taken, or a file is there.
    """
    kinds = tree / "src" / "cityframe" / "rules" / "kinds"
    tests = tree / "tests"
    if not kinds.is_dir() or not (tests / "cases" / "rules").is_dir():
        raise DeclarationError(
            where=str(tree),
            found="no source tree of cityframe",
            expected="src/cityframe/rules/kinds and tests/cases/rules",
            remedy="name its folder with --into, or leave out --built-in to make a package",
        )
    return _write(
        name,
        {
            kinds / f"{name}.py": "kind.py.txt",
            tests / "cases" / "rules" / f"{name}.yaml": "cases.yaml.txt",
            tests / "rules" / "seeded" / f"{name}.py": "sowing.py.txt",
        },
        number=max(one for one in _numbers() if one < FIRST_NUMBER) + 1,
        group="M other",
        sowings=True,
    )


def _numbers() -> list[int]:
    return [kind.number for kind in rule_kinds().values()]


def _write(
    name: str, templates: dict[Path, str], *, number: int, group: str, sowings: bool = False
) -> list[Path]:
    """Fill the templates; nothing is written if one of the files is there."""
    if not _NAME.fullmatch(name) or name in rule_kinds():
        raise DeclarationError(
            where="the name of the kind",
            found=f"{name!r}, a kind already" if name in rule_kinds() else repr(name),
            expected="lower case letters, digits and _, at most 48",
            remedy="choose another name",
        )
    for path in templates:
        if path.exists():
            raise DeclarationError(
                where=str(path), found="a file already", remedy="remove it, or choose another name"
            )
    package = f"cityframe_{name}"
    values = {
        "name": name,
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "number": number,
        "group": group,
        "package": package,
        "project": package.replace("_", "-"),
    }
    for path, template in templates.items():
        text = f'"""The rule kind {name} for cityframe."""\n'
        if template:
            source = files("cityframe.pipeline") / _TEMPLATES / template
            text = Template(source.read_text(encoding="utf-8")).substitute(values)
        if sowings and template == "sowing.py.txt":
            text += f'\n\nSOWINGS = {{"{name}": sowing}}\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(templates)
