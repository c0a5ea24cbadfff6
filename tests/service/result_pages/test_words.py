from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from dicom_nodes.objects import codes
from service.analyses import ANALYSES
from service.result_pages.page_content import HEADLINES
from service.result_pages.words import Language, Sentence, Words, words_of

REPOSITORY = Path(__file__).resolve().parents[3]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_MAKERS = re.compile(r"QualityCheck|_?at_most|_?at_least|_holds")


def checks_in_the_code() -> set[str]:
    """Names of the checks of all analyses, as they stand in the code."""
    modules = [*REPOSITORY.glob("processing/**/*.py"), REPOSITORY / "service" / "analyses.py"]
    return {name for each in modules for name in _checks_of(ast.parse(each.read_text()))}


def _checks_of(tree: ast.Module) -> Iterator[str]:
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        calls = [
            each
            for each in ast.walk(function)
            if isinstance(each, ast.Call)
            and isinstance(each.func, ast.Name)
            and _MAKERS.fullmatch(each.func.id)
            and each.args
        ]
        names = [each.args[0] for each in calls]
        if any(isinstance(each, ast.Name) and each.id == "name" for each in names):
            # They come out of a table of tuples in this function.
            names += [
                each.elts[0]
                for each in ast.walk(function)
                if isinstance(each, ast.Tuple) and len(each.elts) > 2
            ]
        for each in names:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_the_checks_are_found_in_the_code() -> None:
    found = checks_in_the_code()
    assert {"yaw", "eyes_open", "inputs_read", "spikes_flattened", "rival_plane"} <= found
    assert len(found) > 30


@pytest.fixture(params=LANGUAGES)
def words(request: pytest.FixtureRequest) -> Words:
    return words_of(request.param)


def test_every_name_of_every_analysis_has_words(words: Words) -> None:
    for table, names in (
        (words.analyses, ANALYSES),
        (words.how, ANALYSES),
        (words.headlines, HEADLINES),
        (words.quantities, codes.QUANTITIES),
        (words.structures, codes.STRUCTURES),
        (words.regions, codes.REGIONS),
        (words.checks, checks_in_the_code()),
        (words.sentences, Sentence),
    ):
        assert set(names) - set(table) == set()
        # What stands between two sentences may be a space, or nothing.
        assert all(text.strip() for name, text in table.items() if name != Sentence.BESIDE)


def test_no_words_are_left_over(words: Words) -> None:
    assert set(words.checks) == checks_in_the_code()
    assert set(words.quantities) == set(codes.QUANTITIES)
    assert set(words.structures) == set(codes.STRUCTURES)
    assert set(words.regions) == set(codes.REGIONS)


def test_every_analysis_has_a_headline() -> None:
    assert set(HEADLINES) == set(ANALYSES)


def test_every_sentence_is_said_somewhere() -> None:
    pages = REPOSITORY / "service" / "result_pages"
    code = "".join(
        each.read_text()
        for each in pages.glob("*.py")
        if each.name not in ("english.py", "chinese.py")
    )
    assert [each for each in Sentence if f"Sentence.{each.name}" not in code] == []


def test_the_languages_fill_in_the_same_fields() -> None:
    def fields(text: str) -> list[str]:
        return sorted(re.findall(r"\{(\w+)\}", text))

    english, *others = map(words_of, LANGUAGES)
    for other in others:
        for sentence in Sentence:
            assert fields(english.sentences[sentence]) == fields(other.sentences[sentence])
        assert set(english.pictures) == set(other.pictures)
        assert set(english.differences) == set(other.differences)
        assert set(english.short_quantities) == set(other.short_quantities)


def test_the_chinese_words_are_chinese() -> None:
    chinese = words_of("zh")
    latin = {"BESIDE", "LISTED"}
    for sentence in Sentence:
        text = re.sub(r"\{\w+\}", "", chinese.sentences[sentence])
        assert sentence.name in latin or re.search(r"[\u4e00-\u9fff：，（）]", text), sentence
    for table in (chinese.quantities, chinese.structures, chinese.regions, chinese.checks):
        assert all(re.search(r"[\u4e00-\u9fff]", each) for each in table.values())
