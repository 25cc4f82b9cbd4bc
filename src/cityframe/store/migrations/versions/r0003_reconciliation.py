"""What reconciliation leaves: the bridge of source ids, and provenance by attribute.

Revision ID: 0003

Both begin empty: a release of before keeps its digest and says nothing of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the two tables and their indexes."""
    op.create_table(
        "cf_bridge",
        sa.Column("id", _WHOLE, primary_key=True),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("matched_by", sa.Text, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("margin", sa.Double),
        sa.Column("release_from", sa.Integer, nullable=False),
        sa.Column("release_to", sa.Integer),
    )
    is_current = sa.text("release_to IS NULL")
    op.create_index("cf_bridge_uid", "cf_bridge", ["uid"])
    op.create_index(
        "cf_bridge_current",
        "cf_bridge",
        ["layer", "source", "source_id"],
        unique=True,
        sqlite_where=is_current,
        postgresql_where=is_current,
    )
    op.create_table(
        "cf_provenance",
        sa.Column("id", _WHOLE, primary_key=True),
        sa.Column("release", sa.Integer, nullable=False),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("attribute", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("record", _WHOLE),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("margin", sa.Double),
        sa.Column("losers", sa.Text),
        sa.Column("losers_digest", sa.LargeBinary),
        sa.Column("redacted", sa.Integer),
    )
    op.create_index("cf_provenance_uid", "cf_provenance", ["uid"])


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    message = "migrations go forward only"
    raise NotImplementedError(message)
