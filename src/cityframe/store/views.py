"""Views of named releases: ``LAYER_NAME`` shows a layer as the release has it."""

import sqlalchemy as sa

from cityframe.errors import DeclarationError
from cityframe.store.framework import Framework
from cityframe.store.tables import VIEW, history_name


def named_views(framework: Framework) -> dict[str, int]:
    """Return the releases that have a name, by it."""
    if not framework.exists:
        return {}
    with framework.home.engine.connect() as connection:
        rows = connection.execute(sa.select(VIEW.c.name, VIEW.c.release)).all()
    return {name: int(release) for name, release in rows}


def name_views(framework: Framework, number: int, name: str) -> list[str]:
    """Create a view of each layer as a release has it; the same name again makes them anew.

    Raises
    ------
    DeclarationError
        If there is no such release, or a view would be called as another table or view is.
    """
    made = framework.release(number)
    contracts = framework.contracts(number)
    layers = framework.contracts()
    taken = {*layers, *map(history_name, layers), *_views_of_names(framework, but=name)}
    for clash in sorted(taken.intersection(f"{layer}_{name}" for layer in contracts)):
        raise DeclarationError(
            where=framework.label,
            found=f"name {name!r}: a table or view {clash} is there",
            expected="a name that makes new views",
            remedy="choose another",
        )
    with framework.home.exclusive(), framework.home.transaction() as connection:
        connection.execute(sa.delete(VIEW).where(VIEW.c.name == name))
        connection.execute(sa.insert(VIEW).values(name=name, release=number))
        for layer in contracts.values():
            view = f"{layer.name}_{name}"
            framework.home.name_view(connection, layer, view, number, made.valid_at)
    return [f"{layer}_{name}" for layer in contracts]


def refuse_named(framework: Framework, layer: str) -> None:
    """Refuse a new layer that is called as a view of a named release is.

    Raises
    ------
    DeclarationError
        If there is such a view.
    """
    for clash in _views_of_names(framework) & {layer, history_name(layer)}:
        raise DeclarationError(
            where=f"layer {layer}",
            found=f"a view {clash} of a named release",
            remedy="drop it with `cityframe release unname`, then try again",
        )


def _views_of_names(framework: Framework, but: str | None = None) -> set[str]:
    return {
        f"{layer}_{name}"
        for name, number in named_views(framework).items()
        if name != but
        for layer in framework.contracts(number)
    }


def drop_views(framework: Framework, name: str) -> list[str]:
    """Drop the views of a name."""
    number = named_views(framework)[name]
    views = [f"{layer}_{name}" for layer in framework.contracts(number)]
    with framework.home.exclusive(), framework.home.transaction() as connection:
        for view in views:
            framework.home.drop_view(connection, view)
        connection.execute(sa.delete(VIEW).where(VIEW.c.name == name))
    return views
