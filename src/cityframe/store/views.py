"""Views of named releases: ``LAYER_NAME`` shows a layer as the release has it."""

import sqlalchemy as sa

from cityframe.store.framework import Framework
from cityframe.store.tables import VIEW


def named_views(framework: Framework) -> dict[str, int]:
    """Return the releases that have a name, by it."""
    if not framework.exists:
        return {}
    with framework.home.engine.connect() as connection:
        rows = connection.execute(sa.select(VIEW.c.name, VIEW.c.release)).all()
    return {name: int(release) for name, release in rows}


def name_views(framework: Framework, number: int, name: str) -> list[str]:
    """Create a view of each layer as a release has it; the same name again makes them anew."""
    made = framework.release(number)
    contracts = framework.contracts(number)
    with framework.home.exclusive(), framework.home.transaction() as connection:
        connection.execute(sa.delete(VIEW).where(VIEW.c.name == name))
        connection.execute(sa.insert(VIEW).values(name=name, release=number))
        for layer in contracts.values():
            view = f"{layer.name}_{name}"
            framework.home.name_view(connection, layer, view, number, made.valid_at)
    return [f"{layer}_{name}" for layer in contracts]


def drop_views(framework: Framework, name: str) -> list[str]:
    """Drop the views of a name."""
    number = named_views(framework)[name]
    views = [f"{layer}_{name}" for layer in framework.contracts(number)]
    with framework.home.exclusive(), framework.home.transaction() as connection:
        for view in views:
            framework.home.drop_view(connection, view)
        connection.execute(sa.delete(VIEW).where(VIEW.c.name == name))
    return views
