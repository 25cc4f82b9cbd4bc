"""The layout of a store: made at the first release."""

from cityframe.store.home import Home
from cityframe.store.tables import METADATA


def prepare(home: Home) -> None:
    """Make the tables of a framework that are not there yet."""
    with home.transaction() as connection:
        home.create(connection)
        METADATA.create_all(connection)
