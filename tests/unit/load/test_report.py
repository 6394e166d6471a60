"""The JSON result and the HTML report."""

import json
import re

import msgspec
import pytest

from hevfast.load import result as results
from hevfast.load.comparison import compared
from hevfast.load.requirements import judge, parse
from hevfast.load.summary import milliseconds
from tests.unit.load.results import latencies, result, step

reporting = pytest.importorskip("hevfast.load.report", reason="hevfast[load] is not installed")

# What a page may name without asking anybody for it.
NAMES_OF_XML = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")


def assert_self_contained(page: str, target: str) -> None:
    for name in (*NAMES_OF_XML, target):
        page = page.replace(name, "")
    assert re.findall(r"https?:|//[a-z]|@import|<link|<img|url\(|src=", page) == []


def test_a_result_is_read_back_as_it_was_written() -> None:
    written = result(step(latencies(1, 1), lost=[9_000_000], wrong=3))
    read = results.read(results.write(written))
    assert read == written
    assert json.loads(results.write(written))["schema"] == "hevfast-load/1"


def test_fields_of_later_writers_are_ignored_and_other_versions_refused() -> None:
    written = json.loads(results.write(result(step([1_000]))))
    assert results.read(json.dumps({**written, "later": 1}).encode())
    with pytest.raises(ValueError, match="hevfast-load/1"):
        results.read(json.dumps({**written, "schema": "hevfast-load/2"}).encode())
    with pytest.raises(ValueError, match="not a result"):
        results.read(b"{}")


def test_the_schema_names_every_field() -> None:
    schema = json.loads(results.json_schema())
    named = schema["$defs"]["Result"]["properties"]
    assert set(named) == set(results.Result.__struct_fields__)


def test_the_report_holds_the_numbers() -> None:
    measured = step(latencies(1, 1), lost=[9_000_000] * 40, wrong=7)
    verdicts = [judge(parse(word), [measured]) for word in ("p50<5ms", "errors<0.1%")]
    shown = msgspec.structs.replace(result(measured, "tides <b>"), requirements=verdicts)
    page = reporting.report(shown)
    latency = measured.total.latency
    assert latency is not None
    for value in (latency.p50_ms, latency.p99_ms, latency.max_ms):
        assert f"<td>{milliseconds(value)}</td>" in page
    assert "<td>status 500</td><td>7</td>" in page
    assert "<td>timeout</td><td>40</td>" in page
    assert "errors&lt;0.1%" in page
    assert "not met" in page
    assert "a processor, 2 cores" in page
    assert "version 9" in page


def test_the_report_needs_nothing_else_and_escapes_what_it_shows() -> None:
    shown = result(step(latencies(1, 1)), "<script>alert(1)</script>")
    page = reporting.report(shown)
    assert "<script>alert" not in page
    assert page.count("<svg") == 3
    assert "fetch: 99 % within" in page
    assert_self_contained(page, shown.options.url)


def test_a_run_of_several_rates_shows_latency_by_rate() -> None:
    first = step(latencies(1, 1))
    steps = [first, msgspec.structs.replace(first, rate_asked=800.0)]
    page = reporting.report(msgspec.structs.replace(result(first), steps=steps))
    assert page.count("<svg") == 1 + 2 * 3
    assert "p99 at 800/s" in page


def test_a_step_without_answers_has_a_report() -> None:
    page = reporting.report(result(step([], wrong=5)))
    assert "0 of 400 a second answered well, 5 errors." in page


def test_the_comparison_shows_differences_with_their_direction() -> None:
    pair = result(step(latencies(2, 1)), "old"), result(step(latencies(1, 2)), "new")
    comparison = compared(*pair)
    page = reporting.difference(*pair, comparison)
    assert re.search(r'<td class="better">-\d+\.\d%</td><td class="better">better</td>', page)
    assert "old: 99 % within" in page
    assert "new: 99 % within" in page
    assert_self_contained(page, pair[0].options.url)
