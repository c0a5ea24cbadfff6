"""An index of the instances that belong to no study: the list of studies shows the latest."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME = "ix_instances_unusable"


def upgrade() -> None:
    """Make it, of these alone."""
    where = sa.text("reason IS NOT NULL AND study_row IS NULL")
    op.create_index(_NAME, "instances", ["id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop it."""
    op.drop_index(_NAME, "instances")
