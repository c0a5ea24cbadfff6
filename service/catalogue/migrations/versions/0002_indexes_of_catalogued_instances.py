"""Indexes that hold catalogued instances only: receiving an instance does not touch them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = ("series_row", "study_row")


def upgrade() -> None:
    """Make them partial."""
    for column in _COLUMNS:
        name = f"ix_instances_{column}"
        where = sa.text(f"{column} IS NOT NULL")
        op.drop_index(name, "instances")
        op.create_index(name, "instances", [column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Make them whole again."""
    for column in _COLUMNS:
        name = f"ix_instances_{column}"
        op.drop_index(name, "instances")
        op.create_index(name, "instances", [column])
