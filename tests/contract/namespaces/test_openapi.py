"""`/openapi.json` says what the program does: by its tables, and by requests made up from it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hevfast.core.routes import ANY, ROUTES, How
from hevfast.routes import openapi
from tests.contract.namespaces.calling import Caller
from tests.fakes.gateway import RunningGateway, clean_environment, running_gateway

# Seconds for all requests that are made up; and the same ones at each run.
SECONDS = 15
SEED = 20261125

CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"


@pytest.fixture(scope="module")
def keyed(simulator_url: str) -> Iterator[RunningGateway]:
    """A gateway that takes one key, so that there are keys which it does not take."""
    with running_gateway(simulator_url, TURBOPUFFER_API_KEY="key-1") as running:
        yield running


@pytest.fixture(scope="module")
def described(gateway: RunningGateway) -> Any:
    return gateway.ask("GET", "/openapi.json", None, []).json


def test_it_is_the_one_of_the_program(described: Any) -> None:
    assert described == json.loads(msgspec.json.encode(openapi.document()))
    assert described["openapi"] == "3.1.0"


def test_it_has_the_routes_of_the_table_but_those_refused(described: Any) -> None:
    told = {
        (method.upper(), path): operation["operationId"]
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert told == {
        (row.method, row.template): row.name
        for row in ROUTES
        if row.how is not How.REFUSED and row.method != ANY
    }


def test_its_tables_name_routes_that_there_are() -> None:
    names = {row.name for row in ROUTES}
    for table in (openapi._BODIES, openapi._TYPES, openapi._QUERIES, openapi._STATUSES):
        assert set(table) <= names
    assert set(openapi._MEMBERS) <= names
    assert not set(openapi._BODIES) & set(openapi._TYPES)


def test_its_path_parameters_are_those_of_the_templates(described: Any) -> None:
    for path, methods in described["paths"].items():
        for operation in methods.values():
            told = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert told == re.findall(r"\{(\w+)\}", path)


def test_every_route_that_takes_a_body_describes_it() -> None:
    """A route of ours that reads a body and says nothing of it would go untried below."""
    without = {
        row.name
        for row in ROUTES
        if row.how is How.SERVED and row.method in ("POST", "PUT") and openapi._body(row) is None
    }
    assert without == {"warm_cache", "pause_pipeline", "resume_pipeline"}


def run(gateway: RunningGateway, folder: Path, described: object, seconds: int, *more: str) -> Any:
    """Run Schemathesis on a description; give how it ended."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(described))
    words = [
        *("run", str(file), "--url", f"http://127.0.0.1:{gateway.port}"),
        *("--header", "Authorization: Bearer key-1", "--checks", CHECKS),
        *("--seed", str(SEED), "--generation-deterministic", "--max-time", str(seconds)),
        *("--phases", "coverage,fuzzing", "--max-examples", "15", "--exclude-tag", "relayed"),
        *("--request-timeout", "10", "--no-color", "--warnings", "off"),
        *("--suppress-health-check", "all", *more),
    ]
    return subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), *words],
        env=clean_environment(PYTHONDONTWRITEBYTECODE="1"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
    )


pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def schemathesis() -> None:
    if not Path(sys.executable).with_name("schemathesis").exists():
        assert "CI" not in os.environ, "schemathesis is not installed"
        pytest.skip("schemathesis is not installed")


@pytest.mark.usefixtures("schemathesis")
def test_made_up_requests_get_the_answers_that_it_describes(
    keyed: RunningGateway, described: Any, tmp_path: Path
) -> None:
    Caller(keyed).write({"id": "a", "n": 1})
    done = run(keyed, tmp_path, described, SECONDS)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "No issues found" in done.stdout, done.stdout[-2000:]


@pytest.mark.usefixtures("schemathesis")
def test_a_description_that_is_wrong_is_noticed(
    keyed: RunningGateway, described: Any, tmp_path: Path
) -> None:
    wrong = json.loads(json.dumps(described))
    answer = wrong["paths"]["/v2/license"]["get"]["responses"]["200"]
    answer["content"]["application/json"]["schema"]["required"].append("nothing")
    done = run(keyed, tmp_path, wrong, 10, "--include-path", "/v2/license")
    assert done.returncode == 1, done.stdout
    assert "nothing" in done.stdout
