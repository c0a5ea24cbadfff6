"""Storage commitment: what peers ask of the node, and what it asks of destinations."""

import sqlalchemy as sa
from alembic import op

from service.catalogue.models import UTCDateTime

revision = "0003"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "commitment_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("references", sa.JSON(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("reported_at", UTCDateTime(), nullable=True),
        sa.Column("given_up", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("calling_ae_title", "transaction_uid"),
    )
    op.create_index("ix_commitment_requests_due_at", "commitment_requests", ["due_at"])
    op.create_index("ix_commitment_requests_reported_at", "commitment_requests", ["reported_at"])
    op.create_table(
        "result_commitments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("result_row", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("requested_at", UTCDateTime(), nullable=False),
        sa.Column("accepted_at", UTCDateTime(), nullable=True),
        sa.Column("reported_at", UTCDateTime(), nullable=True),
        sa.Column("failures", sa.JSON(), nullable=True),
        sa.Column("given_up", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["result_row"], ["results.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("transaction_uid"),
    )
    op.create_index("ix_result_commitments_of", "result_commitments", ["result_row", "destination"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("result_commitments")
    op.drop_table("commitment_requests")
