"""Passing on what upstream said."""

import asyncio
from typing import Any

import pytest

from hevfast.core.errors import AnswerTornError
from hevfast.edge.reply import relay
from hevfast.upstream.answer import Answer, Stream

pytestmark = pytest.mark.anyio


class Pieces:
    """A large answer's source that remembers whether it was left."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces, b""]
        self.left = False

    async def read(self) -> bytes:
        return self.pieces.pop(0)

    def leave(self) -> None:
        self.left = True


def streamed(*pieces: bytes) -> tuple[Answer, Pieces]:
    source = Pieces(*pieces)
    return Answer(200, [(b"content-type", b"text/plain")], Stream(source, "read")), source


class Client:
    """Takes messages until the one whose number it fails at."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        if len(self.messages) == self.fails_at:
            raise OSError("the client is gone")
        self.messages.append(message)


async def test_pieces_are_passed_on_and_the_source_is_left() -> None:
    answer, source = streamed(b"one", b"two")
    client = Client()
    await relay(client.send, answer)
    assert [message.get("body") for message in client.messages] == [None, b"one", b"two", b""]
    assert source.left


@pytest.mark.parametrize("fails_at", [1, 2, 3])
async def test_a_client_gone_in_the_middle_frees_the_connection(fails_at: int) -> None:
    answer, source = streamed(b"one", b"two")
    with pytest.raises(AnswerTornError):
        await relay(Client(fails_at).send, answer)
    assert source.left


@pytest.mark.parametrize("fault", [OSError("gone"), asyncio.CancelledError()])
async def test_a_client_gone_before_the_head_frees_the_connection(fault: BaseException) -> None:
    async def send(message: Any) -> None:
        raise fault

    answer, source = streamed(b"one")
    with pytest.raises(type(fault)):
        await relay(send, answer)
    assert source.left
