"""The one table of cityframe's own in a subscriber's database: what was applied, and by whom."""

import json
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from cityframe.config.document import Declaration
from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import Layer
from cityframe.model.text import Title
from cityframe.products.package.records import Redaction
from cityframe.products.subscriber.database import Session
from cityframe.products.subscriber.mapping import LayerTable, SubscriberMapping, layer_table
from cityframe.products.subscriber.proof import KeptDigest

STATE_TABLE = "cityframe_subscription"
FORMAT_VERSION = 1

# the column types are those that SQLite and PostgreSQL share
_COLUMNS = {
    "id": "integer PRIMARY KEY CHECK (id = 1)",
    "format_version": "integer NOT NULL",
    "title": "text NOT NULL",
    "key_id": "text NOT NULL",
    "release_number": "integer NOT NULL",
    "release_digest": "text NOT NULL",
    "package_digest": "text NOT NULL",
    "updated_at": "text NOT NULL",
    "recalls": "text NOT NULL",
    "mapping": "text NOT NULL",
    "layers": "text NOT NULL",
    "uid_sums": "text NOT NULL",
    "redacted": "text NOT NULL",
    "redactions": "text NOT NULL",
    "packages": "text NOT NULL",
}
_JSON_COLUMNS = (
    "title",
    "recalls",
    "mapping",
    "layers",
    "uid_sums",
    "redacted",
    "redactions",
    "packages",
)


class AppliedPackage(Declaration):
    """One package that was applied.

    Attributes
    ----------
    release, release_digest : int, str
        The release it led to, and its chain digest.
    package_digest : str
        The digest of its manifest.
    redactions : int
        How many redactions it brought that were not known here.
    """

    release: Annotated[int, Field(ge=1)]
    release_digest: str
    package_digest: str
    redactions: Annotated[int, Field(ge=0)]


class AcknowledgedRecall(Declaration):
    """One recall that the subscriber has read.

    Attributes
    ----------
    statement : str
        Digest of the signed statement.
    release, release_digest : int, str
        The release that is withdrawn, and its chain digest.
    """

    statement: str
    release: Annotated[int, Field(ge=1)]
    release_digest: str
    reason: str
    acknowledged_at: str


class Subscription(Declaration):
    """What a subscriber's database stands at.

    Attributes
    ----------
    title : Title
        Name of the framework.
    key_id : str
        The trusted key that signed the last package.
    updated_at : str
        When the last package was applied or undone.
    recalls : tuple of AcknowledgedRecall
        In the order in which they were acknowledged.
    mapping : SubscriberMapping
        Where the layers are kept.
    layers : tuple of Layer
        Their contracts in this release.
    uid_sums : mapping of str to str
        Of each layer, in hexadecimal; see `cityframe.products.subscriber.proof`.
    redacted : mapping of str to mapping
        Of each layer with redacted rows, these by uid.
    redactions : tuple of Redaction
        All that packages brought so far; without digests.
    packages : tuple of AppliedPackage
        The full package and the changes since then, the last one last.
    """

    title: Title
    key_id: str
    updated_at: str
    recalls: tuple[AcknowledgedRecall, ...]
    mapping: SubscriberMapping
    layers: tuple[Layer, ...]
    uid_sums: dict[str, str]
    redacted: dict[str, dict[str, KeptDigest]]
    redactions: tuple[Redaction, ...]
    packages: tuple[AppliedPackage, ...] = Field(min_length=1)

    @property
    def current(self) -> AppliedPackage:
        """The package that led here."""
        return self.packages[-1]

    def tables(self) -> dict[str, LayerTable]:
        """Return each layer's table, by the name of the layer."""
        return {layer.name: layer_table(layer, self.mapping) for layer in self.layers}


def is_subscribed(session: Session) -> bool:
    """Whether a database has a subscription."""
    return session.has_table(STATE_TABLE) and _row(session) is not None


def read_state(session: Session) -> Subscription:
    """Read what a database stands at.

    Raises
    ------
    DeclarationError
        If it has no subscription.
    IntegrityError
        If the state was changed by hand, or is of a newer cityframe.
    """
    row = _row(session) if session.has_table(STATE_TABLE) else None
    if row is None:
        raise DeclarationError(
            where=session.where,
            found="no subscription",
            expected=f"a row in {STATE_TABLE}",
            remedy="subscribe with a full package first",
        )
    where = f"{session.where} table {STATE_TABLE}"
    if row["format_version"] != FORMAT_VERSION:
        raise IntegrityError(
            where=where,
            found=f"format version {row['format_version']}",
            expected=str(FORMAT_VERSION),
            remedy="use the cityframe that wrote it, or a newer one",
        )
    try:
        data = {name: json.loads(row[name]) for name in _JSON_COLUMNS}
        data |= {name: row[name] for name in ("key_id", "updated_at")}
        state = Subscription.model_validate_json(json.dumps(data))
    except ValueError as error:
        raise IntegrityError(
            where=where,
            found=f"a state that can't be read: {error}",
            expected="the state as cityframe wrote it",
            remedy="restore the database, or subscribe again in another place",
        ) from error
    last = state.current
    found = tuple(row[name] for name in ("release_number", "release_digest", "package_digest"))
    if found != (last.release, last.release_digest, last.package_digest):
        raise IntegrityError(
            where=where,
            found=f"release {found[0]}, but release {last.release} applied last",
            expected="the state as cityframe wrote it",
            remedy="restore the database, or subscribe again in another place",
        )
    return state


def write_state(session: Session, state: Subscription) -> None:
    """Write what a database stands at; its table is made if need be."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    session.connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {session.quoted(STATE_TABLE)} ({columns})"
    )
    table = session.clause(STATE_TABLE, _COLUMNS)
    last = state.current
    data = state.model_dump(mode="json")
    session.connection.execute(sa.delete(table))
    session.connection.execute(
        sa.insert(table),
        {
            "id": 1,
            "format_version": FORMAT_VERSION,
            "key_id": state.key_id,
            "release_number": last.release,
            "release_digest": last.release_digest,
            "package_digest": last.package_digest,
            "updated_at": state.updated_at,
            **{name: json.dumps(data[name], ensure_ascii=False) for name in _JSON_COLUMNS},
        },
    )


def _row(session: Session) -> dict[str, Any] | None:
    table = session.clause(STATE_TABLE, _COLUMNS)
    found = session.connection.execute(sa.select(table)).mappings().first()
    return None if found is None else dict(found)
