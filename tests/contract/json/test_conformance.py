"""Each text of the corpus is judged alike by the oracle, by the C forms and by the RFC."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.contract.json import numbers, structure, texts
from tests.contract.json.case import Case, Expect
from tests.native.scanner import both_forms
from tests.oracle import Fault, Kind, Plan, plan

CASES = [
    replace(case, name=f"{module.__name__.rsplit('.', 1)[1]}: {case.name}")
    for module in (structure, texts, numbers)
    for case in module.CASES
]
IN_A_ROW = b'{"upsert_rows":[{"id":1,"a":%s,"b":2}]}'
SCANNERS = both_forms()
# Of a JSON text that is no write.
NO_WRITE = (Kind.NOT_OBJECT, Kind.NO_OPERATION)


def is_json(outcome: Plan | Fault) -> bool:
    return isinstance(outcome, Plan) or outcome.kind in NO_WRITE


def check_case(case: Case, body: bytes) -> None:
    expected = plan(body)
    assert is_json(expected) == (case.expect is not Expect.REJECT), expected
    for scanner in SCANNERS:
        assert scanner.plan(body) == expected


def test_corpus_is_large_and_its_names_are_its_own() -> None:
    assert len(CASES) >= 320
    names = Counter(case.name for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.embeds], ids=lambda case: case.name
)
def test_text_as_an_attribute_of_a_row_is_judged_as_expected(case: Case) -> None:
    check_case(case, IN_A_ROW % case.text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_text_as_a_whole_body_is_judged_as_expected(case: Case) -> None:
    if case.text.strip(b" \n"):
        check_case(case, case.text)
    else:
        assert plan(case.text) == Fault(Kind.EMPTY, len(case.text))
        assert all(scanner.plan(case.text) == plan(case.text) for scanner in SCANNERS)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.deep], ids=lambda case: case.name
)
def test_expectation_is_that_of_the_standard_library(case: Case) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is a number to Python and not to the RFC")

    try:
        # Bytes may be UTF-16 to json.loads, and surrogates pass: it is given strict UTF-8 text.
        json.loads(case.text.decode("utf-8"), parse_constant=refuse, parse_int=str)
        good = True
    except ValueError:
        good = False
    assert good == (case.expect is Expect.ACCEPT)
