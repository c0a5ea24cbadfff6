from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dicom_nodes.network import proposed_services
from dicom_nodes.objects import codes, sop_classes, written_kinds
from dicom_nodes.objects.character_sets import decode_text, supported_character_sets
from service.conformance.markdown import table
from service.conformance.statement import conformance_statement

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("dicom_nodes", "service")
STATEMENT = REPOSITORY / "docs" / "conformance-statement.md"
RENEWED_BY = "hemiface conformance > docs/conformance-statement.md"


@pytest.fixture(scope="module")
def statement() -> str:
    return conformance_statement()


def test_the_statement_in_the_documents_is_what_the_code_says(statement: str) -> None:
    assert STATEMENT.read_text() == statement, f"renew it: {RENEWED_BY}"


def test_the_settings_of_a_site_do_not_change_the_statement(
    statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMIFACE_DICOM__AE_TITLE", "ELSEWHERE")
    monkeypatch.setenv("HEMIFACE_QUERY__OFFERED", "false")
    assert conformance_statement() == statement


def test_every_link_within_the_documents_leads_somewhere(statement: str) -> None:
    for name, anchor in re.findall(r"\]\(([\w-]+\.md)?(?:#([\w-]+))?\)", statement):
        text = (STATEMENT.parent / name).read_text() if name else statement
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not anchor or anchor in anchors, f"{name}#{anchor}"


def test_every_sop_class_that_is_proposed_is_in_the_statement() -> None:
    known = {
        name
        for name, value in vars(proposed_services).items()
        if any(value in each.sop_classes for each in proposed_services.PROPOSED)
    }
    network = REPOSITORY / "dicom_nodes" / "network"
    assert {
        f"{path.name}: {name}"
        for path in network.glob("*.py")
        for name in proposed_constants(path)
        if name not in known
    } == set()


def proposed_constants(path: Path) -> set[str]:
    """Constants that a module gives to `build_context`, or to a function that does."""
    return {
        argument.id
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")).strip("_")
        in ("build_context", "association")
        for argument in call.args[:1]
        if isinstance(argument, ast.Name) and argument.id.isupper()
    }


def test_what_modules_propose_is_found() -> None:
    network = REPOSITORY / "dicom_nodes" / "network"
    assert proposed_constants(network / "worklist_scu.py") == {"MODALITY_WORKLIST_FIND"}
    assert len(proposed_constants(network / "procedure_step_scu.py")) == 3


def test_every_series_that_is_written_is_in_the_statement() -> None:
    defined = {
        target.id
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.AnnAssign)
        for target in (statement.target,)
        if isinstance(target, ast.Name) and target.id.endswith("_SERIES_NUMBER")
    }
    assert len(defined) >= 9
    assert {each for each in defined if not hasattr(written_kinds, each)} == set()
    numbers = {getattr(written_kinds, each) for each in defined}
    assert numbers == {each.series_number for each in written_kinds.WRITTEN_KINDS}


def test_every_class_that_is_read_is_in_the_statement() -> None:
    sets = [each for each in vars(sop_classes).values() if isinstance(each, frozenset)]
    assert frozenset().union(*sets) <= frozenset().union(*sop_classes.READ.values())


def test_every_private_code_is_in_the_statement() -> None:
    written = {
        call.args[0].value
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "private_code"
        and isinstance(call.args[0], ast.Constant)
    }
    assert written == {each.value for each in codes.private_codes()}


@pytest.mark.parametrize("term", supported_character_sets())
def test_every_character_set_in_the_statement_is_decoded(term: str) -> None:
    # With an escape sequence it cannot pass for plain ASCII, whatever is declared.
    assert decode_text(b"\x1b(Ba\x7f", (term,)) is not None


def test_a_character_set_of_nowhere_is_not_decoded() -> None:
    assert decode_text(b"\x1b(Ba\x7f", ("ISO_IR 999",)) is None


def test_a_cell_cannot_part_a_table() -> None:
    assert table(("a",), [("b|c\nd",)]) == "| a |\n| --- |\n| b\\|c d |"
