"""The layout of a store: made at the first release, checked when it is opened, migrated on demand.

Each layout has a revision of Alembic in ``store/migrations``; the store's own is in ``cf_layout``.
A store of the first layout has no such table.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cityframe.errors import DeclarationError
from cityframe.store.home import Home
from cityframe.store.tables import LAYOUT, METADATA

FIRST = "0001"


def prepare(home: Home) -> None:
    """Make the tables of a framework, if they are not there; else check their layout."""
    if home.exists():
        check_layout(home)
        return
    with home.transaction() as connection:
        home.create(connection)
        METADATA.create_all(connection)
        context = MigrationContext.configure(connection, opts={"version_table": LAYOUT.name})
        context.stamp(_scripts(), "head")


def check_layout(home: Home) -> None:
    """Refuse a store of another layout than this cityframe's.

    Raises
    ------
    DeclarationError
        If it is an older one, which can be migrated, or one that this cityframe does not know.
    """
    found, head = layout_of(home), head_layout()
    if found == head:
        return
    known = {script.revision for script in _scripts().walk_revisions()}
    raise DeclarationError(
        where=home.label,
        found=f"a store of layout {found}",
        expected=f"layout {head}",
        remedy="make a copy of the store, then run `cityframe migrate`"
        if found in known
        else "a newer cityframe made it: update this one",
    )


def migrate(home: Home) -> tuple[str, str]:
    """Bring a store to the newest layout in one transaction; return the layouts before and after.

    Raises
    ------
    DeclarationError
        If there is no store, or its layout is unknown.
    """
    if not home.exists():
        raise DeclarationError(where=home.label, found="no framework", expected="one to migrate")
    before, head = layout_of(home), head_layout()
    if before == head:
        return before, head
    if before not in {script.revision for script in _scripts().walk_revisions()}:
        check_layout(home)
    with home.exclusive(), home.transaction() as connection:
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        if not sa.inspect(connection).has_table(LAYOUT.name):
            LAYOUT.create(connection)
            command.stamp(configuration, FIRST)
        command.upgrade(configuration, "head")
    return before, layout_of(home)


def layout_of(home: Home) -> str:
    """Return the revision of a store's layout."""
    with home.engine.connect() as connection:
        if not sa.inspect(connection).has_table(LAYOUT.name):
            return FIRST
        context = MigrationContext.configure(connection, opts={"version_table": LAYOUT.name})
        return context.get_current_revision() or FIRST


def head_layout() -> str:
    """Return the revision of the layout that this cityframe writes."""
    head = _scripts().get_current_head()
    if head is None:
        raise DeclarationError(found="no migrations in the package", remedy="install it again")
    return head


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return configuration


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())
