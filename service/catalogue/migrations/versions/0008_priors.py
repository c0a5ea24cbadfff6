"""What of earlier studies is wanted beside a study, and which instances came for that alone."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None

_UID = sa.String(64)


def upgrade() -> None:
    """Add them."""
    op.add_column(
        "instances",
        sa.Column("prior", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_table(
        "priors",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("prior_study_instance_uid", _UID, nullable=False),
        sa.Column("series_instance_uid", _UID, nullable=False),
        sa.Column("sop_instance_uid", _UID, nullable=False),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Integer()),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text()),
        sa.UniqueConstraint("study_instance_uid", "sop_instance_uid"),
    )
    for column in ("prior_study_instance_uid", "sop_instance_uid"):
        op.create_index(f"ix_priors_{column}", "priors", [column])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("priors")
    op.drop_column("instances", "prior")
