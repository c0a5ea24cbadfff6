"""What worklists say, which order a study belongs to, and results that were filed under one."""

import sqlalchemy as sa
from alembic import op

from service.catalogue.models import UTCDateTime

revision = "0007"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the column."""
    op.create_table(
        "worklist_items",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("start_date", sa.String(8), nullable=False),
        sa.Column("step", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("source", "study_instance_uid", "step_id"),
    )
    for column in (
        "study_instance_uid",
        "patient_id",
        "accession_number",
        "start_date",
        "seen_at",
    ):
        op.create_index(f"ix_worklist_items_{column}", "worklist_items", [column])
    op.create_table(
        "worklist_sources",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("asked_at", UTCDateTime(), nullable=False),
        sa.Column("answered_at", UTCDateTime(), nullable=True),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("rejected", sa.JSON(), nullable=False),
    )
    op.create_table(
        "study_orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("study_row", sa.Integer(), sa.ForeignKey("studies.id"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("found_by", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("correction", sa.String(16), nullable=False),
        sa.Column("order_study_uid", sa.String(64), nullable=True),
        sa.Column("step", sa.JSON(), nullable=True),
        sa.Column("first_decided_at", UTCDateTime(), nullable=False),
        sa.Column("decided_at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("study_row", "key"),
    )
    for column in ("study_row", "order_study_uid"):
        op.create_index(f"ix_study_orders_{column}", "study_orders", [column])
    op.add_column("results", sa.Column("filed_under", sa.String(64), nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("results", "filed_under")
    op.drop_table("study_orders")
    op.drop_table("worklist_sources")
    op.drop_table("worklist_items")
