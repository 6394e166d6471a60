"""What becomes of errors, whatever they are."""

from typing import Any

import pytest

from hevfast.core.errors import AnswerTornError, GatewayError
from hevfast.edge.dispatch import Dispatch

pytestmark = pytest.mark.anyio

SCOPE = {"type": "http", "method": "POST", "raw_path": b"/v2/namespaces/ns"}


async def answers(fault: Exception) -> list[Any]:
    sent: list[Any] = []

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise fault

    async def send(message: Any) -> None:
        sent.append(message)

    await Dispatch(fail, fail, fail, fail, fail)(SCOPE, None, send)
    return sent


async def test_an_error_of_ours_is_its_answer() -> None:
    start, body = await answers(GatewayError("forbidden", "no"))
    assert start["status"] == 403
    assert body["body"] == b'{"error":"forbidden","message":"no"}'


async def test_a_fault_of_the_program_is_a_500_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start, body = await answers(RuntimeError("secret"))
    assert start["status"] == 500
    assert start["headers"][0] == (b"server", b"hevfast")
    assert b'"error":"internal_error"' in body["body"]
    assert b"secret" not in body["body"]
    assert len(caplog.records) == 1


async def test_a_torn_answer_is_left_without_an_end(caplog: pytest.LogCaptureFixture) -> None:
    assert await answers(AnswerTornError("cut")) == []
    assert len(caplog.records) == 1


async def test_control_characters_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise GatewayError("upstream_error", "x")

    async def send(message: Any) -> None:
        pass

    scope = {**SCOPE, "raw_path": b"/v1/\x1b[31m\xff" + b"x" * 5000}
    await Dispatch(fail, fail, fail, fail, fail)(scope, None, send)
    assert "\x1b" not in caplog.text
    assert len(caplog.records[0].getMessage()) < 300
