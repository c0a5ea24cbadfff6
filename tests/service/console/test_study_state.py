from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from service.catalogue.database import Database
from service.catalogue.overviews import study_overviews
from service.catalogue.studies import latest_studies
from service.study_explanation import contents_as_text, delivery_as_text, explanation
from service.study_state import DeliveryStage, Stage, StudyState, state_of, states_of
from tests.service.console.seeding import NOW, Seeder, ToldEngine, every_state, work


def state(database: Database, engine: ToldEngine, uid: str = "1.2.3") -> StudyState:
    found = state_of(database, engine, uid)
    assert found is not None
    return found


def test_each_stage_is_told_apart(seed: Seeder, engine: ToldEngine, database: Database) -> None:
    of = every_state(seed, engine)
    found = {uid: state(database, engine, uid).stage for uid in of.values()}
    assert {name: found[uid] for name, uid in of.items()} == {
        "unusable": Stage.UNUSABLE,
        "nothing": Stage.NOTHING_TO_MEASURE,
        "parked": Stage.PARKED,
        "failed": Stage.FAILED,
        "refused": Stage.REFUSED,
        "done": Stage.DONE,
        "done both": Stage.DONE,
        "kept here": Stage.DONE,
        "reopened": Stage.RECEIVING,
        "retrying": Stage.DELIVERING,
        "delivering": Stage.DELIVERING,
        "measuring": Stage.MEASURING,
        "waiting": Stage.WAITING,
        "receiving": Stage.RECEIVING,
    }


def test_each_explanation_names_what_a_person_needs(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    of = every_state(seed, engine)
    for name, words in {
        "unusable": "2 × Pixel Data (7FE0,0010) ends after 2048 of 786432 bytes",
        "nothing": "3 × MR",
        "parked": "delivery to MAIN PACS is parked: 0x0122 SOP class not supported",
        "failed": "the measuring process died",
        "refused": "turned by 9.4 degrees",
        "done": "confirmed by MAIN PACS",
        "done both": "confirmed by MAIN PACS, sent to TRIAL",
        "kept here": "no destination is set for the sender HEMIFACE_SEND",
        "retrying": "Connection refused; tried again at",
        "delivering": "on its way to MAIN PACS",
        "measuring": "surface-symmetry is being measured",
        "waiting": "waits for a free worker",
        "receiving": "1 × XC frontal so far; measured at",
    }.items():
        assert words in explanation(state(database, engine, of[name]), NOW), name


def test_a_list_costs_as_many_queries_as_one_study(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    of = every_state(seed, engine)
    asked: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", remember)
    latest = latest_studies(database, 50)
    asked.clear()
    states_of(database, engine, [of["done both"]])
    of_one = len(asked)
    asked.clear()
    assert len(states_of(database, engine, latest)) == 14
    assert len(asked) == of_one


def test_studies_keep_the_order_they_were_asked_in(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    for uid in ("1.1", "1.2", "1.3"):
        seed.study(uid)
    found = states_of(database, engine, ["1.3", "1.9", "1.1"])
    assert [each.study.study_instance_uid for each in found] == ["1.3", "1.1"]


def test_a_failure_is_settled_by_what_was_done_later(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    uid = seed.study("1.2.3")
    seed.complete(uid)
    engine.work = [work("analyse", "ERROR", uid, "surface-symmetry", [], "k", reason="no model")]
    assert state(database, engine).stage is Stage.PARKED
    seed.result(uid, "k")
    assert state(database, engine).stage is Stage.DONE
    engine.work = [work("deliver", "ERROR", "k", "PACS", 0, reason="refused")]
    assert state(database, engine).stage is Stage.PARKED
    again = work("deliver", "PENDING", "k", "PACS", 0, created_at=NOW)
    engine.work.append(again)
    assert state(database, engine).stage is Stage.DELIVERING
    engine.work.remove(again)
    seed.delivered("k", "PACS", "C-FIND lists all 1 objects")
    assert state(database, engine).stage is Stage.DONE


def test_a_parked_delivery_of_a_replaced_report_needs_nobody(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    uid = seed.study("1.2.3")
    seed.complete(uid)
    seed.result(uid, "first", made_at=NOW - timedelta(minutes=5))
    engine.work = [work("deliver", "ERROR", "first", "PACS", 0, reason="refused")]
    assert state(database, engine).stage is Stage.PARKED
    seed.result(uid, "second", predecessor_uid="2.25.1")
    found = state(database, engine)
    assert found.stage is Stage.DONE
    assert [each.is_newest for each in found.results] == [False, True]


def test_what_was_sent_but_not_confirmed_is_shown_as_sent(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    uid = seed.study("1.2.3")
    seed.result(uid, "k")
    seed.delivered("k", "PACS")
    (delivery,) = state(database, engine).results[0].deliveries
    assert delivery.stage is DeliveryStage.SENT
    engine.work = [work("deliver", "DELAYED", "k", "PACS", 1, reason="waiting: no report yet")]
    (delivery,) = state(database, engine).results[0].deliveries
    assert (delivery.stage, delivery.detail) == (DeliveryStage.SENT, "no report yet")
    assert delivery_as_text(delivery, NOW).endswith("not confirmed yet: no report yet")
    engine.work = [
        work(
            "deliver", "ERROR", "k", "PACS", 0, reason="lists 1 of 2", updated_at=NOW + timedelta(1)
        )
    ]
    (delivery,) = state(database, engine).results[0].deliveries
    assert (delivery.stage, delivery.detail) == (DeliveryStage.PARKED, "lists 1 of 2")


def test_each_study_shows_its_own_patient_name_though_the_ids_are_equal(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    seed.study("1.1", name="Eins^Eva", patient_id="")
    seed.study("1.2", name="Zwei^Zoe", patient_id="")
    names = [each.study.patient_name for each in states_of(database, engine, ["1.1", "1.2"])]
    assert names == ["Eins^Eva", "Zwei^Zoe"]


def test_a_study_that_holds_only_own_objects_is_not_waited_for(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    seed.study("1.2.3", {"own": True})
    found = state(database, engine)
    assert found.stage is Stage.NOTHING_TO_MEASURE
    assert explanation(found, NOW) == "holds only what this node made"


def test_a_study_without_work_and_without_evidence_is_waiting(
    seed: Seeder, engine: ToldEngine, database: Database
) -> None:
    seed.study("1.2.3")
    found = state(database, engine)
    assert found.stage is Stage.WAITING
    assert "run it again" in explanation(found, NOW)


def test_contents_name_view_and_expression(seed: Seeder) -> None:
    uid = "1.2.99"
    seed.study(uid, {}, {"expression": "smile"}, {"expression": "smile"}, {"view": "left profile"})
    overview = study_overviews(seed.database, [uid])[uid]
    assert contents_as_text(overview) == "1 × XC frontal, 2 × XC frontal smile, 1 × XC left profile"
