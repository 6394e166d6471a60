"""Conditions that are changed at run time, over the control route."""

import asyncio
from typing import Any

import pytest
from starlette.types import ASGIApp

from hevfast.simulator.app import build
from hevfast.simulator.options import Options

from .test_app import ONE_ROW, Answer, ask, call

ROUTE = "/_simulator"
BOOKS = "/v2/namespaces/books"


@pytest.fixture
def app() -> ASGIApp:
    return build(Options(control=True))


def change(app: ASGIApp, **conditions: Any) -> Answer:
    return ask(app, "PATCH", ROUTE, conditions)


def test_route_is_there_only_when_asked_for() -> None:
    assert ask(build(), "GET", ROUTE).status == 404
    assert ask(build(Options(control=True)), "GET", ROUTE).status == 200


def test_what_is_named_changes_and_the_rest_stays(app: ASGIApp) -> None:
    before = ask(app, "GET", ROUTE).json()
    after = change(app, commit_ms=[1, 2], index_held=True).json()
    assert after == before | {"commit_ms": [1.0, 2.0], "index_held": ["*"]}
    assert ask(app, "GET", ROUTE).json() == after


def test_index_is_held_and_let_go(app: ASGIApp) -> None:
    change(app, index_held=["books"])
    ask(app, "POST", BOOKS, ONE_ROW)
    index = ask(app, "GET", f"{BOOKS}/metadata").json()["index"]
    assert index == {"status": "updating", "unindexed_bytes": 8, "unindexed_rows": 1}
    change(app, index_held=False)
    index = ask(app, "GET", f"{BOOKS}/metadata").json()["index"]
    assert index == {"status": "up-to-date"}


def test_scripted_faults_happen_as_often_as_they_should(app: ASGIApp) -> None:
    fault = {"on": "write", "status": 429, "after": 1, "times": 2, "retry_after_s": 3}
    change(app, faults=[fault])
    answers = [ask(app, "POST", BOOKS, ONE_ROW) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 429, 429, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == [None, "3", "3", None]


def test_same_seed_repeats_the_same_faults(app: ASGIApp) -> None:
    def statuses() -> list[int]:
        change(app, seed=5, faults=[{"rate": 0.5, "status": 503}])
        return [ask(app, "POST", BOOKS, ONE_ROW).status for _ in range(20)]

    first = statuses()
    assert set(first) == {200, 503}
    assert statuses() == first


@pytest.mark.parametrize(
    "conditions",
    [
        {"nope": 1},
        {"commit_ms": [2, 1]},
        {"commit_ms": -1},
        {"query_ms": 1e9},
        {"index_held": 5},
        {"seed": "x"},
        {"faults": [{"effect": "burn"}]},
        {"faults": [{"status": 200}]},
        {"faults": [{"effect": "slow"}]},
        {"faults": [{"status": 503, "rate": "x"}]},
        {"faults": [{"status": 503, "rate": 0.6}, {"status": 503, "rate": 0.6}]},
        {"limited": True, "faults": [{"mood": "bad"}]},
    ],
)
def test_wrong_conditions_are_refused_and_nothing_changes(
    app: ASGIApp, conditions: dict[str, Any]
) -> None:
    before = ask(app, "GET", ROUTE).json()
    assert change(app, **conditions).status in (400, 422)
    assert ask(app, "GET", ROUTE).json() == before


def test_limits_refuse_rows_beyond_a_second_s_worth(app: ASGIApp) -> None:
    change(app, limited=True)
    many = {"upsert_columns": {"id": list(range(40_000))}}
    assert [ask(app, "POST", BOOKS, body).status for body in (many, ONE_ROW)] == [200, 429]


def test_queries_take_their_time_and_wait_for_their_turn(app: ASGIApp) -> None:
    ask(app, "POST", BOOKS, ONE_ROW)
    change(app, limited=True, query_ms=30)

    async def play() -> list[Answer]:
        body = {"rank_by": ["id", "asc"], "top_k": 1}
        return await asyncio.gather(*(call(app, "POST", f"{BOOKS}/query", body) for _ in range(17)))

    blocks = [answer.json()["performance"] for answer in asyncio.run(play())]
    assert all(block["query_execution_ms"] >= 29 for block in blocks)
    assert max(block["server_total_ms"] for block in blocks) >= 58


async def finished(app: ASGIApp, where: str) -> Any:
    """Poll an operation until it is finished."""
    for _ in range(1000):
        found = (await call(app, "GET", where)).json()
        if found["status"] == "finished":
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(found)


def test_copy_that_takes_its_time_is_answered_202_and_polled(app: ASGIApp) -> None:
    async def play() -> None:
        await call(app, "POST", BOOKS, ONE_ROW)
        await call(app, "PATCH", ROUTE, {"copy_ms": 20})
        headers = {"authorization": "Bearer any", "prefer": "respond-async"}
        body = {"copy_from_namespace": "books"}
        accepted = await call(app, "POST", "/v2/namespaces/twin", body, headers)
        assert (accepted.status, accepted.headers["preference-applied"]) == (202, "respond-async")
        where = accepted.headers["location"]
        assert where == f"/v1/namespaces/twin/operations/{accepted.json()['token']}"
        assert (await call(app, "GET", where)).json()["status"] == "running"
        found = await finished(app, where)
        assert found["result"]["success"]["rows_affected"] == 1
        again = await call(app, "POST", "/v2/namespaces/twin", body, headers)
        where = again.headers["location"]
        found = await finished(app, where)
        assert found["result"]["error"]["status_code"] == 400
        assert "already exists" in found["result"]["error"]["detail"]["error"]
        # Without the wish there is nothing to poll.
        assert (await call(app, "POST", "/v2/namespaces/third", body)).status == 200

    asyncio.run(play())
