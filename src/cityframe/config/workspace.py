"""A workspace: a folder with declarations and a store."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from cityframe.config.cycle import Series
from cityframe.config.document import Declaration, line_of, read_declaration, read_yaml
from cityframe.config.reconciling import Reconciling
from cityframe.config.rule import Rule
from cityframe.config.rule_set import read_rules
from cityframe.config.schema import LayerSchema, TitleText
from cityframe.config.scoring import AreaUnit, Scoring, read_scoring
from cityframe.config.source import AddressGeometry, JoinGeometry, Source
from cityframe.errors import DeclarationError
from cityframe.model.layer import Layer

WORKSPACE_FILE = "cityframe.yaml"


class Retention(Declaration):
    """``retention:`` in ``cityframe.yaml``: what `cityframe prune` may remove, and when.

    Each is a number of whole days; what is left out is kept for ever. ``landed_days`` is the age
    of landed bytes since they landed; ``candidate_days`` and ``working_days`` are the ages of
    candidates and of the working files of deliveries since their cycle ended.
    """

    # strict: `true` is not one day
    landed_days: int | None = Field(default=None, ge=1, strict=True)
    candidate_days: int | None = Field(default=None, ge=1, strict=True)
    working_days: int | None = Field(default=None, ge=1, strict=True)


class WorkspaceFile(Declaration):
    """``cityframe.yaml``: the name of the city and where its store is.

    ``node`` names the city among those that exchange with it (its administrative code); uids of
    new features depend on it, by default on the English title. ``store`` is a folder, relative to
    the file. The framework is ``framework.gpkg`` in it, or,
    with ``framework: postgresql://user@host:port/database?schema=NAME``, in PostGIS.
    ``signing_key`` is the path of the private key that signs packages; a secret, so it comes from
    the environment: ``${CITYFRAME_SIGNING_KEY:-}``.
    """

    title: TitleText
    node: str = ""
    store: str = "store"
    framework: str = ""
    signing_key: str = ""
    time_zone: str = "Asia/Shanghai"
    retention: Retention = Retention()


@dataclass(frozen=True)
class Workspace:
    """All declarations of a workspace, read and checked against one another.

    Attributes
    ----------
    root : Path
        The folder.
    store : Path
        Folder of the store; it need not exist yet.
    framework_url : str or None
        Where the framework is if it is not in the store's folder.
    signing_key : Path or None
        The key that signs packages.
    retention : Retention
        What may be pruned, and when.
    scoring : mapping of str to Scoring
        How each layer is scored; a layer without is not.
    places : mapping of str to str
        ``file:line`` of each rule by its id, for messages.
    """

    root: Path
    title: TitleText
    node: str
    time_zone: str
    store: Path
    framework_url: str | None
    signing_key: Path | None
    retention: Retention
    layers: Mapping[str, Layer]
    reconciling: Mapping[str, Reconciling]
    sources: Mapping[str, Source]
    rules: tuple[Rule, ...]
    series: Mapping[str, Series]
    scoring: Mapping[str, Scoring]
    places: Mapping[str, str]

    def source(self, name: str) -> Source:
        """Return a source by its name, or raise `DeclarationError`."""
        return _named(self.sources, name, "source", self.root / "sources")

    def cycle_series(self, name: str) -> Series:
        """Return a series by its name, or raise `DeclarationError`."""
        return _named(self.series, name, "series", self.root / "cycles")

    def layer(self, name: str) -> Layer:
        """Return a layer by its name, or raise `DeclarationError`."""
        return _named(self.layers, name, "layer", self.root / "schemas")

    def rule_set_digest(self) -> str:
        """Return the SHA-256 over all rules, in hexadecimal."""
        text = "\n".join(rule.model_dump_json() for rule in self.rules)
        return hashlib.sha256(text.encode()).hexdigest()


NamedT = TypeVar("NamedT")


def _named(among: Mapping[str, NamedT], name: str, what: str, folder: Path) -> NamedT:
    if name not in among:
        raise DeclarationError(
            found=f"no {what} {name!r}",
            where=str(folder),
            expected=f"one of {', '.join(sorted(among)) or 'none declared'}",
        )
    return among[name]


def read_workspace(root: Path) -> Workspace:
    """Read all declarations of a workspace.

    Parameters
    ----------
    root : Path
        Folder with ``cityframe.yaml``, ``sources/``, ``schemas/``, ``quality_rules/``, ``cycles/``.

    Returns
    -------
    Workspace
        Read once; later changes of the files are not seen.

    Raises
    ------
    DeclarationError
        If a file is wrong or names what is not declared; with file and line.
    """
    head = read_declaration(root / WORKSPACE_FILE, WorkspaceFile)
    schemas = {path: read_declaration(path, LayerSchema) for path in _files(root / "schemas")}
    sources = {path: read_declaration(path, Source) for path in _files(root / "sources")}
    series = {path: read_declaration(path, Series) for path in _files(root / "cycles")}
    for path, declared in [*schemas.items(), *sources.items(), *series.items()]:
        if declared.name != path.stem:  # type: ignore[attr-defined]
            raise DeclarationError(
                found=f"name is {declared.name!r}",  # type: ignore[attr-defined]
                where=str(path),
                expected=f"{path.stem!r}, the name of the file",
            )
    layers = {schema.name: schema.layer() for schema in schemas.values()}
    rules, places = _read_rules(root / "quality_rules", layers)
    workspace = Workspace(
        root=root,
        title=head.title,
        node=head.node or head.title.en,
        time_zone=head.time_zone,
        store=root / expand(head.store, where=str(root / WORKSPACE_FILE)),
        signing_key=_path(root, expand(head.signing_key, where=str(root / WORKSPACE_FILE))),
        retention=head.retention,
        framework_url=expand(head.framework, where=str(root / WORKSPACE_FILE)) or None,
        layers=layers,
        reconciling={schema.name: schema.reconcile for schema in schemas.values()},
        sources={source.name: source for source in sources.values()},
        rules=rules,
        series={one.name: one for one in series.values()},
        scoring=read_scoring(root / "quality_rules" / "scoring"),
        places=places,
    )
    _check_names(workspace)
    return workspace


def expand(text: str, *, where: str) -> str:
    """Replace ``${VARIABLE}`` and ``${VARIABLE:-default}`` from the environment.

    Raises
    ------
    DeclarationError
        If a variable without a default is not set.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise DeclarationError(
                found=f"environment variable {name} is not set", where=where, remedy=f"set {name}"
            )
        return found

    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}", value, text)


def _path(root: Path, text: str) -> Path | None:
    return root / text if text else None


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _read_rules(
    folder: Path, layers: Mapping[str, Layer]
) -> tuple[tuple[Rule, ...], dict[str, str]]:
    rules: list[Rule] = []
    places: dict[str, str] = {}
    for path in _files(folder):
        for rule, place in read_rules(path, layers):
            if rule.id in places:
                raise DeclarationError(
                    found=f"rule {rule.id!r} stands twice",
                    where=place,
                    remedy=f"rename it; the other is at {places[rule.id]}",
                )
            places[rule.id] = place
            rules.append(rule)
    return tuple(rules), places


def _check_names(workspace: Workspace) -> None:
    for rule in workspace.rules:
        _check_known(rule.layers, workspace.layers, "layer", workspace.places[rule.id])
    for series in workspace.series.values():
        where = str(workspace.root / "cycles" / f"{series.name}.yaml")
        _check_known(series.sources, workspace.sources, "source", where)
    for name, rules in workspace.reconciling.items():
        where = str(workspace.root / "schemas" / f"{name}.yaml")
        known = dict.fromkeys(workspace.sources)
        _check_known(chain.from_iterable(rules.authority.values()), known, "source", where)
        if rules.edges is not None:
            _check_known([rules.edges.borders], workspace.layers, "layer", where)
    for source in workspace.sources.values():
        _check_source(workspace, source)
    for name, scheme in workspace.scoring.items():
        where = str(workspace.root / "quality_rules" / "scoring" / f"{scheme.name}.yaml")
        _check_known([name], workspace.layers, "layer", where)
        if isinstance(scheme.unit, AreaUnit):
            _check_known([scheme.unit.layer], workspace.layers, "layer", where)
            areas = workspace.layers[scheme.unit.layer].attribute_names
            _check_known([scheme.unit.column], dict.fromkeys(areas), "attribute", where)


def _check_source(workspace: Workspace, source: Source) -> None:
    path = workspace.root / "sources" / f"{source.name}.yaml"
    _, lines = read_yaml(path)
    for position, feed in enumerate(source.feeds):
        where = f"{path}:{line_of(('feeds', position), lines)}"
        _check_known([feed.layer], workspace.layers, "layer", where)
        layer = workspace.layers[feed.layer]
        for name in feed.columns:
            if name not in layer.attribute_names:
                raise DeclarationError(
                    found=f"layer {layer.name} has no attribute {name!r}",
                    where=f"{path}:{line_of(('feeds', position, 'columns', name), lines)}",
                    expected=f"one of {', '.join(layer.attribute_names)}",
                )
        if isinstance(feed.geometry, JoinGeometry):
            _check_known([feed.geometry.layer], workspace.layers, "layer", where)
        if isinstance(feed.geometry, AddressGeometry):
            _check_address(workspace, feed.geometry, where)
        if feed.coverage is not None:
            _check_known([feed.coverage.layer], workspace.layers, "layer", where)
            areas = dict.fromkeys(workspace.layers[feed.coverage.layer].attribute_names)
            _check_known(feed.coverage.where, areas, "attribute", where)


def _check_address(workspace: Workspace, geometry: AddressGeometry, where: str) -> None:
    known = workspace.layers[geometry.layer].attribute_names
    for given in geometry.address.attributes.values():
        names = [given] if isinstance(given, str) else given
        _check_known(names, dict.fromkeys(known), "attribute", where)
    streets = geometry.address.streets
    if streets is not None:
        _check_known([streets.layer], workspace.layers, "layer", where)
        names = [name for name in (streets.name, streets.alias, streets.district) if name]
        known = workspace.layers[streets.layer].attribute_names
        _check_known(names, dict.fromkeys(known), "attribute", where)
    for path in geometry.address.admin:
        if not (workspace.root / path).is_file():
            raise DeclarationError(
                found=f"no file {path!r}",
                where=where,
                expected="tables of administrative codes, relative to the workspace",
            )


def _check_known(names: Iterable[str], known: Mapping[str, object], what: str, where: str) -> None:
    for name in names:
        if name not in known:
            raise DeclarationError(
                found=f"no {what} {name!r}",
                where=where,
                expected=f"one of {', '.join(sorted(known)) or 'none declared'}",
            )
