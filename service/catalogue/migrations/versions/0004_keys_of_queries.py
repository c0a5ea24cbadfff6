"""What queries ask for: more of the headers, names folded for matching, series of results."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service.catalogue.name_matching import folded_groups

revision = "0004"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEXED = (
    ("studies", "study_date"),
    ("studies", "accession_number"),
    ("result_objects", "series_instance_uid"),
)


def upgrade() -> None:
    """Add them; what only a header says stays empty for studies that are there already."""
    for name, kind in (
        ("study_time", sa.String(16)),
        ("study_id", sa.Text()),
        ("referring_physician", sa.Text()),
    ):
        op.add_column("studies", sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("series", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("result_objects", sa.Column("header", sa.JSON(), nullable=True))
    for table, column in _INDEXED:
        op.create_index(f"ix_{table}_{column}", table, [column])
    names = op.create_table(
        "study_names",
        sa.Column("study_row", sa.Integer(), nullable=False),
        sa.Column(
            "name",
            sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["study_row"], ["studies.id"]),
        sa.PrimaryKeyConstraint("study_row", "name"),
    )
    op.create_index("ix_study_names_name", "study_names", ["name", "study_row"])
    _fold_names(names)
    _make_series_of_results()


def _fold_names(names: sa.Table) -> None:
    connection = op.get_bind()
    studies = connection.execute(sa.text("SELECT id, patient_name FROM studies")).all()
    rows = [
        {"study_row": row, "name": name} for row, text in studies for name in folded_groups(text)
    ]
    if rows:
        connection.execute(names.insert(), rows)


def _make_series_of_results() -> None:
    op.execute(
        """
        INSERT INTO series (series_instance_uid, study_row, modality, description)
        SELECT o.series_instance_uid, MIN(r.study_row),
               MIN(CASE
                   WHEN o.sop_class_uid LIKE '1.2.840.10008.5.1.4.1.1.88.%' THEN 'SR'
                   WHEN o.sop_class_uid LIKE '1.2.840.10008.5.1.4.1.1.66.%' THEN 'SEG'
                   ELSE 'OT' END), ''
        FROM result_objects o JOIN results r ON r.id = o.result_row
        WHERE o.series_instance_uid NOT IN (SELECT series_instance_uid FROM series)
        GROUP BY o.series_instance_uid
        """
    )


def downgrade() -> None:
    """Take them away again; series of results stay."""
    op.drop_index("ix_study_names_name", "study_names")
    op.drop_table("study_names")
    for table, column in _INDEXED:
        op.drop_index(f"ix_{table}_{column}", table)
    for table, columns in (
        ("result_objects", ("header",)),
        ("series", ("number",)),
        ("studies", ("study_time", "study_id", "referring_physician")),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
