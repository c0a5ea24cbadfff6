"""What modalities say of their procedure steps."""

import sqlalchemy as sa
from alembic import op

from service.catalogue.models import UTCDateTime

revision = "0006"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXTS = (
    "accession_number",
    "patient_id",
    "patient_name",
    "modality",
    "description",
    "station_ae_title",
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "performed_steps",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.Column("began", sa.String(14), nullable=False),
        sa.Column("ended", sa.String(14), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("instances", sa.JSON(), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("looked_at", UTCDateTime(), nullable=True),
    )
    op.create_index("ix_performed_steps_changed_at", "performed_steps", ["changed_at"])
    op.create_index("ix_performed_steps_looked_at", "performed_steps", ["looked_at"])
    op.create_table(
        "performed_step_studies",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "step_row",
            sa.Integer(),
            sa.ForeignKey("performed_steps.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
    )
    for column in ("step_row", "study_instance_uid"):
        op.create_index(f"ix_performed_step_studies_{column}", "performed_step_studies", [column])


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("performed_step_studies")
    op.drop_table("performed_steps")
