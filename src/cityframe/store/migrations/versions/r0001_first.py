"""The first layout: GeoPackage only, without a table that says so.

Revision ID: 0001
"""

from cityframe.errors import DeclarationError

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Refuse: no store of this layout is made any more."""
    raise DeclarationError(found="a store without a layout", remedy="start from an empty one")


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise DeclarationError(found="a step back", expected="migrations go forward only")
