"""What managers tell of Unified Procedure Steps: that one waits, that one is to be canceled."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("begun_at", sa.DateTime(timezone=True)),
    ("cancel_requested_at", sa.DateTime(timezone=True)),
    ("cancel_reason", sa.Text()),
    ("cancel_code", sa.JSON()),
)


def upgrade() -> None:
    """Add columns and tables, and list the inputs of the steps that are kept already."""
    for name, kind in _COLUMNS:
        op.add_column("procedure_steps", sa.Column(name, kind))
    inputs = op.create_table(
        "procedure_step_inputs",
        sa.Column("step_row", sa.Integer(), sa.ForeignKey("procedure_steps.id"), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    )
    op.create_index(
        "ix_procedure_step_inputs_sop_instance_uid", "procedure_step_inputs", ["sop_instance_uid"]
    )
    steps = sa.table("procedure_steps", sa.column("id", sa.Integer), sa.column("inputs", sa.JSON))
    for number, references in op.get_bind().execute(sa.select(steps.c.id, steps.c.inputs)).all():
        uids = sorted({uid for *_, uid in references})
        op.bulk_insert(inputs, [{"step_row": number, "sop_instance_uid": uid} for uid in uids])
    op.create_table(
        "step_notices",
        sa.Column("source", sa.Text(), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("step_notices")
    op.drop_table("procedure_step_inputs")
    for name, _ in _COLUMNS:
        op.drop_column("procedure_steps", name)
