from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.analyses import VL_PHOTOGRAPHIC_IMAGE
from service.catalogue.studies import KnownInstance, KnownStudy
from service.settings import (
    CompletionSettings,
    PhotographSettings,
    Settings,
    UrgencyRule,
    WorkSettings,
)
from service.workflow.completion import Evidence, has_declared_inputs, is_urgent, plan

ENCAPSULATED_STL = "1.2.840.10008.5.1.4.1.1.104.3"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
MR = "1.2.840.10008.5.1.4.1.1.4"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SETTINGS = Settings(completion=CompletionSettings(quiet_seconds=30, maximum_seconds=900))


def instance(
    uid: str,
    sop_class_uid: str,
    *,
    view: str | None = None,
    expression: str | None = None,
    edited: tuple[str, ...] = (),
    modality: str = "XC",
    reason: str | None = None,
    own: bool = False,
) -> KnownInstance:
    header = {"view": view, "expression": expression, "edited_photographs": list(edited)}
    return KnownInstance(
        uid, sop_class_uid, f"{uid}.dcm", NOW, "CAMERA", own, modality, header, reason
    )


def study(*instances: KnownInstance, priority: str = "", quiet_for: float = 0) -> KnownStudy:
    return KnownStudy(
        study_instance_uid="1.2",
        patient_id="P",
        patient_name="N",
        accession_number="",
        study_date="",
        description="Facial palsy",
        priority=priority,
        first_arrival=NOW - timedelta(seconds=1000),
        last_arrival=NOW - timedelta(seconds=quiet_for),
        instances=instances,
    )


FRONTAL = instance("1.1", VL_PHOTOGRAPHIC_IMAGE, view="frontal")
UNSAID = instance("1.2", VL_PHOTOGRAPHIC_IMAGE)
PROFILE = instance("1.3", VL_PHOTOGRAPHIC_IMAGE, view="left profile")
SMILE = instance("1.9", VL_PHOTOGRAPHIC_IMAGE, view="frontal", expression="smile")
EDITS = instance("1.10", COMPREHENSIVE_SR, modality="SR", edited=("1.1",))
SCAN = instance("1.4", ENCAPSULATED_STL, modality="M3D")


def test_declared_inputs_are_there_only_when_every_analysis_has_its_own() -> None:
    assert has_declared_inputs(study(FRONTAL, SCAN))
    assert not has_declared_inputs(study(FRONTAL))
    assert not has_declared_inputs(study(UNSAID, SCAN))
    assert not has_declared_inputs(study(PROFILE, SCAN))


def test_what_cannot_be_used_is_no_input() -> None:
    truncated = instance("1.5", ENCAPSULATED_STL, reason="the file is truncated")
    assert not has_declared_inputs(study(FRONTAL, truncated))
    only_bad = plan(study(truncated), SETTINGS, NOW)
    assert only_bad.jobs == ()


def test_the_first_evidence_that_proves_it_wins() -> None:
    declared = plan(study(FRONTAL, SCAN, quiet_for=60), SETTINGS, NOW)
    quiet = plan(study(UNSAID, quiet_for=31), SETTINGS, NOW)
    maximum = plan(study(UNSAID, quiet_for=5), SETTINGS, NOW)
    assert [each.evidence for each in (declared, quiet, maximum)] == [
        Evidence.DECLARED_INPUTS,
        Evidence.QUIET_TIME,
        Evidence.HARD_MAXIMUM,
    ]


def test_profiles_own_pictures_and_other_modalities_start_nothing() -> None:
    own = instance("1.6", "1.2.840.10008.5.1.4.1.1.7", own=True)
    screen = instance("1.7", "1.2.840.10008.5.1.4.1.1.7", modality="MR")
    planned = plan(study(PROFILE, own, screen, instance("1.8", MR)), SETTINGS, NOW)
    assert planned.jobs == ()


def test_the_key_of_a_job_depends_on_its_inputs_and_not_on_their_order() -> None:
    def keys(*instances: KnownInstance) -> list[str]:
        return [job.key for job in plan(study(*instances), SETTINGS, NOW).jobs]

    assert keys(FRONTAL, UNSAID) == keys(UNSAID, FRONTAL)
    assert keys(FRONTAL) != keys(FRONTAL, UNSAID)
    assert keys(FRONTAL) == keys(FRONTAL, PROFILE), "a profile changes nothing for the analysis"


def test_a_study_is_urgent_by_its_priority_or_by_a_rule() -> None:
    assert is_urgent(study(FRONTAL, priority="STAT"), WorkSettings())
    assert not is_urgent(study(FRONTAL, priority="ROUTINE"), WorkSettings())
    rule = UrgencyRule(calling_ae_title="CAMERA", study_description_contains="palsy")
    assert is_urgent(study(FRONTAL), WorkSettings(urgency_rules=(rule,)))
    other = UrgencyRule(calling_ae_title="CAMERA", modality="MR")
    assert not is_urgent(study(FRONTAL), WorkSettings(urgency_rules=(other,)))
    assert not is_urgent(study(FRONTAL), WorkSettings(urgency_rules=(UrgencyRule(),)))


def _jobs(*instances: KnownInstance, settings: Settings = SETTINGS) -> dict[str, tuple[str, ...]]:
    return {job.analysis: job.inputs for job in plan(study(*instances), settings, NOW).jobs}


def test_a_movement_is_measured_for_itself_and_is_never_waited_for() -> None:
    assert _jobs(FRONTAL, SMILE) == {"photograph-symmetry": ("1.1",), "photograph-smile": ("1.9",)}
    assert has_declared_inputs(study(FRONTAL, SCAN))
    assert not has_declared_inputs(study(SMILE, SCAN)), "a smile is no face in repose"


def test_landmarks_of_a_reviewer_are_an_input_beside_their_photograph() -> None:
    assert _jobs(FRONTAL, EDITS) == {"photograph-symmetry": ("1.1", "1.10")}
    assert _jobs(SMILE, EDITS) == {"photograph-smile": ("1.9",)}, "they are for another photograph"
    assert _jobs(EDITS) == {}


def test_landmarks_of_a_reviewer_make_another_result() -> None:
    before, after = (
        plan(study(*instances), SETTINGS, NOW) for instances in ((FRONTAL,), (FRONTAL, EDITS))
    )
    assert before.jobs[0].key != after.jobs[0].key
    assert before.inputs_key != after.inputs_key


def test_what_the_site_chooses_is_part_of_the_key() -> None:
    def key(settings: Settings) -> str:
        return plan(study(FRONTAL), settings, NOW).jobs[0].key

    chosen = Settings(photograph=PhotographSettings(headline="hemiface_area"))
    assert key(chosen) != key(SETTINGS)
    assert key(Settings(photograph=PhotographSettings())) == key(SETTINGS)
