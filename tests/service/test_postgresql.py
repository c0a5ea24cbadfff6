"""The node on PostgreSQL: catalogue and engine in one database, by one URL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from dicom_nodes.network.query import Level, Question
from service.catalogue import arrivals, results, studies
from service.catalogue.database import Database, migrate, open_database
from service.catalogue.queries import answers, supported_keys
from service.demo_orthanc import free_ports
from service.settings import CompletionSettings, DatabaseSettings, Settings
from service.workflow import engine
from service.workflow.engine import EngineClient
from tests.peers.programs import required
from tests.service.catalogue.holdings import make_result
from tests.service.catalogue.test_queries import MATCHES, found, hold_three
from tests.service.catalogue.test_studies import FACTS, catalogued, made, receive
from tests.service.workflow.test_engine import RememberingSteps, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A PostgreSQL server of its own, which listens on the loopback interface."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    required(str(found[-1]) if found else "/usr/lib/postgresql/15/bin/initdb", "postgresql")
    programs = found[-1].parent
    # PostgreSQL refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="hemiface-postgresql-"))
    if account:
        shutil.chown(folder, account)
    (port,) = free_ports(1)
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "hemiface", "-A", "trust", "-E", "UTF8"],
        user=account,
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    server = subprocess.Popen(
        [
            *(programs / "postgres", "-D", folder / "data", "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
        ],
        user=account,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        wait_for(
            lambda: (
                subprocess.run(
                    [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)],
                    check=False,
                ).returncode
                == 0
            )
        )
        yield f"postgresql://hemiface@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder)


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_folder=tmp_path,
        database=DatabaseSettings(url=url),
        completion=CompletionSettings(quiet_seconds=1),
    )


def test_the_catalogue_keeps_what_it_is_given(database: Database) -> None:
    instance = receive(database, "1.1")
    again = arrivals.Received(
        *("1.1", "1.2.840", "1.2", "instances/other.dcm", 10, 4),
        *(instance.received_at, "CAM", "::1"),
    )
    with closing(arrivals.Register(database)) as register:
        (held,) = register.enter([again])
    assert held is not None
    assert held.key == instance.key
    studies.record(database, [catalogued(instance)])
    studies.record(database, [catalogued(instance)])
    study = studies.known_study(database, FACTS.study_instance_uid)
    assert study is not None
    assert study.patient_name == "王^小东"
    assert study.last_arrival == instance.received_at
    assert results.record_result(database, made("1", ("1.1",)))
    assert not results.record_result(database, replace(made("1", ("1.1",)), status="failed"))
    results.record_delivery(database, "1", "PACS")
    results.beat(database, "slot")
    assert [each.status for each in results.results_of_study(database, "1.2.1")] == ["measured"]


def test_queries_are_answered_as_from_sqlite(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE queries")
    settings = Settings(
        data_folder=tmp_path, database=DatabaseSettings(url=f"{url.rpartition('/')[0]}/queries")
    )
    migrate(settings)
    with closing(open_database(settings)) as database:
        hold_three(database)
        for keys, expected in MATCHES:
            assert found(database, Level.STUDY, **keys) == expected, keys
        make_result(database)
        assert found(database, Level.IMAGE, InstanceNumber="1", Modality="SR") == ["2.25.1"]
        for level in Level:
            keywords = supported_keys(level)
            for answer in answers(database, Question(level, dict.fromkeys(keywords, ""))):
                assert answer.keys() == keywords


def test_a_study_goes_its_whole_way(settings: Settings, database: Database) -> None:
    engine.migrate_engine(settings)
    steps = RememberingSteps()
    engine.launch(settings, "slot", steps)
    client = EngineClient(settings)
    try:
        client.look_at_study_in("study", 0.1)
        wait_for(lambda: steps.order_of("confirm") == ["study"])
    finally:
        client.close()
        engine.stop()
    assert [name for name, _ in steps.ran][:4] == ["complete", "read", "measure", "report"]
