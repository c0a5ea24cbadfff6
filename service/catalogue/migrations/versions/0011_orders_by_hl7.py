"""Orders by HL7: which messages were taken, and what they said last of each step."""

import sqlalchemy as sa
from alembic import op

from service.catalogue.models import UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "order_states",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("placer_number", sa.Text(), nullable=False),
        sa.Column("filler_number", sa.Text(), nullable=False),
        sa.Column("said_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("study_instance_uid", "step_id"),
    )
    for column in ("placer_number", "filler_number", "changed_at"):
        op.create_index(f"ix_order_states_{column}", "order_states", [column])
    op.create_table(
        "order_messages",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("sender", "control_id", "digest"),
    )
    op.create_index("ix_order_messages_received_at", "order_messages", ["received_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("order_messages")
    op.drop_table("order_states")
