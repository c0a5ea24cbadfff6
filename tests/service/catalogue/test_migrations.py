from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from dicom_nodes.network.query import Level, Question
from processing.measurement import PermanentFault
from service.catalogue.database import (
    MIGRATIONS,
    Database,
    migrate,
    open_database,
    schema_revisions,
)
from service.catalogue.models import Base
from service.catalogue.queries import answers
from service.settings import Settings


def test_the_migrations_make_the_tables_that_the_models_describe(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_studies_and_results_of_an_older_catalogue_are_found(settings: Settings) -> None:
    settings.data_folder.mkdir()
    older = open_database(settings)
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    with older.engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0002")
        for statement in (
            "INSERT INTO patients VALUES (1, 'P1', '', 'Wang^XiaoDong=王^小东', '', '')",
            "INSERT INTO studies VALUES (1, '1.2.1', 1, 'Wang^XiaoDong=王^小东', '', '', '', '',"
            " '2026-11-21', '2026-11-21')",
            "INSERT INTO results VALUES"
            " (1, 'key', 1, 'photograph-symmetry', '1', 'measured', NULL, '[]',"
            " '2026-11-21', NULL)",
            "INSERT INTO result_objects VALUES"
            " (1, 1, '2.25.1', '1.2.840.10008.5.1.4.1.1.88.34', '2.25.7', 'report', 'results/r')",
        ):
            connection.execute(sa.text(statement))
    older.close()
    migrate(settings)
    database = open_database(settings)
    asked = {"PatientName": "王^小东", "StudyInstanceUID": "", "Modality": "SR"}
    (answer,) = answers(database, Question(Level.SERIES, asked))
    assert answer["StudyInstanceUID"] == "1.2.1"
    assert answer["SeriesInstanceUID"] == "2.25.7"
    database.close()


def test_a_catalogue_of_a_newer_version_is_left_alone_and_said_to_be_one(
    settings: Settings, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(PermanentFault, match=r"a newer version of hemiface .* \(schema 9999\)"):
        migrate(settings)
    assert schema_revisions(database)[0] == "9999"
