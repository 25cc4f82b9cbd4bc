"""Open a subscriber's database, whichever kind it is."""

from contextlib import AbstractContextManager

from cityframe.products.subscriber.database import Session
from cityframe.products.subscriber.geopackage import geopackage_session
from cityframe.products.subscriber.postgis import postgis_session

_POSTGIS = ("postgresql:", "postgresql+psycopg:", "postgres:")


def open_session(database: str, *, may_create: bool = False) -> AbstractContextManager[Session]:
    """Open a subscriber's database in one transaction, committed when the block ends well.

    Parameters
    ----------
    database : str
        Path of a GeoPackage, or ``postgresql://user@host:port/name?schema=NAME``.
    may_create : bool
        Whether a GeoPackage that is not there is made.

    Raises
    ------
    SourceUnreachableError
        If the database does not answer, is locked by another writer, or has no room.
    GateClosedError
        If a constraint of the subscriber's own forbids a change.
    DeclarationError
        If it is no such database, or refuses a statement.
    """
    if database.startswith(_POSTGIS):
        return postgis_session(database)
    return geopackage_session(database, may_create=may_create)
