from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from typer.testing import CliRunner

from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.verification import Verification
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.measurement import Analysis, Measurement, RejectedInput, Status
from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.cli import app
from service.commands import study
from service.console.verification import add_verification
from service.settings import DeliverySettings, Destination, ReportSettings, Settings, Verifier
from service.study_state import state_of
from service.verifying import verify_result
from service.workflow.engine import EngineClient
from tests.service.console.seeding import Seeder, ToldEngine

STUDY = "1.2.826.0.1.7"
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
BY_LI = Verification("Li^Na", "Hospital", NOW)
TOKEN = "a token of her own"


@dataclass(slots=True)
class Engine(ToldEngine):
    """Takes down what is to be delivered."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def deliver_again(self, key: str, destination: str) -> str:
        self.asked.append((key, destination))
        return f"deliver:{key}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    back = Destination(name="PACS", ae_title="CAMERA", address="127.0.0.1", port=104)
    li = Verifier(name="Li^Na", organization="Hospital", token=SecretStr(TOKEN))
    return settings.model_copy(
        update={
            "delivery": DeliverySettings(destinations=(back,)),
            "report": ReportSettings(verifiers=(li,)),
        }
    )


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def seed(database: Database, stored: StoredBytes, tmp_path: Path) -> Seeder:
    """A study with one measured result, whose report is stored as the steps store it."""
    seeder = Seeder(database, stored)
    seeder.study(STUDY)
    photograph = write_vl_photograph(
        np.zeros((64, 64, 3), np.uint8),
        StudyIdentity(STUDY, patient_id="P-1", patient_name="Muster^Anna"),
        tmp_path / "photograph.dcm",
        made_at=NOW,
    )
    analysis = Analysis(
        "photograph-symmetry",
        "1.0.0",
        Status.MEASURED,
        inputs=(photograph.sop_instance_uid,),
        measurements=(Measurement("symmetry_ratio", 0.9, "1", 0.01, "m", structure="face"),),
    )
    report = write_measurement_report(
        analysis, [photograph.path], tmp_path / "report.dcm", key="first", made_at=NOW
    )
    stored.write("results/first/report.dcm", report.path.read_bytes())
    stored.write(
        "work/first/analysis.json", b'{"measurements": [], "pictures": [], "captions": []}'
    )
    made = results.MadeObject(
        report.sop_instance_uid,
        report.sop_class_uid,
        report.series_instance_uid,
        "report",
        "results/first/report.dcm",
    )
    results.record_result(
        database,
        results.MadeResult(
            "first", STUDY, analysis.analysis, "1.0.0", "measured", None, ("1",), NOW, None, (made,)
        ),
    )
    return seeder


def test_the_verified_version_is_recorded_as_the_newest_result_and_sent(
    settings: Settings, database: Database, stored: StoredBytes, engine: Engine, seed: Seeder
) -> None:
    verified = verify_result(settings, database, stored, engine, STUDY, None, BY_LI)
    first, newest = results.results_of_study(database, STUDY)
    assert newest == verified.result
    assert newest.predecessor_uid == first.objects[0].sop_instance_uid
    assert newest.objects[0].series_instance_uid == first.objects[0].series_instance_uid
    assert engine.asked == [(newest.key, "PACS")]
    assert verified.destinations == ("PACS",)
    with stored.as_file(newest.objects[0].key) as path:
        (measurement,) = read_measurement_report(path).measurements
        assert measurement.value == 0.9
    state = state_of(database, engine, STUDY)
    assert state is not None
    assert [each.is_newest for each in state.results] == [False, True]


def test_its_object_is_known_as_own_when_it_comes_back(
    settings: Settings, database: Database, stored: StoredBytes, engine: Engine, seed: Seeder
) -> None:
    verified = verify_result(settings, database, stored, engine, STUDY, None, BY_LI)
    uid = verified.result.objects[0].sop_instance_uid
    assert results.are_own(database, [uid, "1.2.3"]) == {uid}


def test_what_is_verified_is_not_verified_again(
    settings: Settings, database: Database, stored: StoredBytes, engine: Engine, seed: Seeder
) -> None:
    verify_result(settings, database, stored, engine, STUDY, None, BY_LI)
    with pytest.raises(RejectedInput, match="verified already"):
        verify_result(settings, database, stored, engine, STUDY, None, BY_LI)
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("uid", "analysis", "reason"),
    [
        ("1.2.3", None, "no result that could be verified"),
        (STUDY, "nerve", "no result of nerve, but of photograph-symmetry"),
    ],
)
def test_what_is_not_there_cannot_be_verified(
    uid: str,
    analysis: str | None,
    reason: str,
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    engine: Engine,
    seed: Seeder,
) -> None:
    with pytest.raises(RejectedInput, match=reason):
        verify_result(settings, database, stored, engine, uid, analysis, BY_LI)


def test_of_several_analyses_one_must_be_named(
    settings: Settings, database: Database, stored: StoredBytes, engine: Engine, seed: Seeder
) -> None:
    seed.result(STUDY, "second", analysis="surface-symmetry")
    with pytest.raises(RejectedInput, match="say which is verified"):
        verify_result(settings, database, stored, engine, STUDY, None, BY_LI)
    named = verify_result(settings, database, stored, engine, STUDY, "photograph-symmetry", BY_LI)
    assert named.result.analysis == "photograph-symmetry"


def test_the_command_says_what_was_verified_by_whom(
    settings: Settings,
    database: Database,
    engine: Engine,
    seed: Seeder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def open_node(*, for_writing: bool = False) -> Any:
        assert for_writing
        yield study.Node(settings, database, cast(EngineClient, engine))

    monkeypatch.setattr(study, "_open_node", open_node)
    command = ["study", "verify", STUDY, "--by", "Li^Na", "--organization", "Hospital"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    assert "photograph-symmetry is verified by Li^Na" in answer.output
    assert "it is sent to PACS" in answer.output
    assert [each.predecessor_uid is None for each in results.results_of_study(database, STUDY)] == [
        True,
        False,
    ]


def posted(
    settings: Settings, context: SimpleNamespace, token: str | None, body: dict[str, Any]
) -> httpx.Response:
    application = FastAPI()
    add_verification(application, settings, context.database, context.stored, context.engine)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            path = f"/api/studies/{STUDY}/verification"
            return await client.post(path, json=body, headers=headers)

    return asyncio.run(ask())


@pytest.fixture
def context(
    database: Database, stored: StoredBytes, engine: Engine, seed: Seeder
) -> SimpleNamespace:
    return SimpleNamespace(database=database, stored=stored, engine=engine)


def test_by_http_the_token_says_who_verifies(settings: Settings, context: SimpleNamespace) -> None:
    answer = posted(settings, context, TOKEN, {"analysis": "photograph-symmetry"})
    assert answer.status_code == 201
    assert answer.json()["verified_by"] == "Li^Na"
    assert answer.json()["destinations"] == ["PACS"]
    newest = results.results_of_study(context.database, STUDY)[-1]
    assert answer.json()["report"] == newest.objects[0].sop_instance_uid
    again = posted(settings, context, TOKEN, {})
    assert again.status_code == 409
    assert "verified already" in again.json()["detail"]


@pytest.mark.parametrize(
    ("token", "named", "status"),
    [(None, True, 401), ("another token at all", True, 401), (TOKEN, False, 403)],
)
def test_by_http_nobody_else_may_verify(
    token: str | None, named: bool, status: int, settings: Settings, context: SimpleNamespace
) -> None:
    if not named:
        settings = settings.model_copy(update={"report": ReportSettings()})
    assert posted(settings, context, token, {}).status_code == status
    assert len(results.results_of_study(context.database, STUDY)) == 1


def test_by_http_a_name_cannot_be_given(settings: Settings, context: SimpleNamespace) -> None:
    assert posted(settings, context, TOKEN, {"by": "Somebody^Else"}).status_code == 422
