"""Which instances came together in one STOW-RS request: evidence of a complete set."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "stow_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "stow_request_instances",
        sa.Column("request_row", sa.Integer, sa.ForeignKey("stow_requests.id"), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    )
    op.create_index(
        "ix_stow_request_instances_sop_instance_uid",
        "stow_request_instances",
        ["sop_instance_uid"],
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("stow_request_instances")
    op.drop_table("stow_requests")
