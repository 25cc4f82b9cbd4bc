"""Where rule kinds are found: the built-in ones and those of other packages, loaded alike.

Another package offers a kind by an entry point in the group ``cityframe.rules``::

    [project.entry-points."cityframe.rules"]
    roof_slope = "our_rules.roof_slope:KIND"
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import cleandoc

from cityframe.errors import DeclarationError
from cityframe.rules import kinds
from cityframe.rules.kind import RuleKind

GROUP = "cityframe.rules"


def rule_kinds() -> Mapping[str, RuleKind]:
    """Return all rule kinds by name, sorted.

    Raises
    ------
    DeclarationError
        If two packages offer the same name, or what is offered can't be loaded or is no rule kind
        of that name; with the entry point.
    """
    return {name: kind for name, (kind, _) in _registered().items()}


def manual_text(name: str) -> str:
    """Return the docstring of a kind's module, its manual page."""
    _, entry = _registered()[name]
    return cleandoc(import_module(entry.module).__doc__ or "")


def built_in() -> list[EntryPoint]:
    """Return an entry point for each module in `cityframe.rules.kinds`."""
    return [
        EntryPoint(name=module.name, value=f"{kinds.__name__}.{module.name}:KIND", group=GROUP)
        for module in pkgutil.iter_modules(kinds.__path__)
    ]


@cache
def _registered() -> dict[str, tuple[RuleKind, EntryPoint]]:
    found: dict[str, tuple[RuleKind, EntryPoint]] = {}
    for entry in sorted([*built_in(), *entry_points(group=GROUP)], key=lambda one: one.name):
        if entry.name in found:
            raise DeclarationError(
                found=f"rule kind {entry.name!r} is offered twice",
                where=entry.value,
                remedy=f"rename it; the other is {found[entry.name][1].value}",
            )
        kind = _loaded(entry)
        if not isinstance(kind, RuleKind) or kind.name != entry.name:
            raise DeclarationError(
                found=f"entry point {entry.name!r} gives {kind!r}",
                where=entry.value,
                expected=f"a RuleKind with the name {entry.name!r}",
            )
        found[entry.name] = (kind, entry)
    return found


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:
        raise DeclarationError(
            found=f"entry point {entry.name!r} does not load: {type(error).__name__}: {error}",
            where=entry.value,
            expected="a RuleKind",
            remedy="mend the package that offers it, or remove it",
        ) from error
