"""Chunks of many documents in one answer, sent as they are read."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from hevfast.core.errors import AnswerTornError
from hevfast.edge.reply import SERVER, Send, reply_bytes
from hevfast.pipelines.store import (
    Absent,
    PipelineStore,
    UnableError,
    UnknownPipelineError,
)

# Documents read at once at most.
_AT_ONCE: Final = 256

# Bytes. Chunks read at once, as far as the documents before tell how large the next will be, and
# the most of an answer that is held before it is begun.
_READ_BYTES: Final = 4 * 1024 * 1024
_HELD_BYTES: Final = 4 * 1024 * 1024

_encode = msgspec.json.Encoder().encode

Found = tuple[str, bytes | Absent]


class ChunkStream:
    """Reads documents' chunks in the order asked for, as fast as the client takes them."""

    __slots__ = ("_documents", "_pipeline", "_store")

    def __init__(self, store: PipelineStore, pipeline: str, documents: Sequence[str]) -> None:
        self._store = store
        self._pipeline = pipeline
        self._documents = documents

    async def as_list(self, send: Send) -> None:
        """Answer `{"documents":[{"document_id","chunks"},...],"missing":[...]}`.

        Raises: what the store does, as long as nothing was sent; AnswerTornError after that.
        """
        if not self._documents:
            await self._store.pipeline(self._pipeline)
        missing: list[str] = []

        async def pieces() -> AsyncIterator[bytes]:
            lead = b'{"documents":['
            async for read in self._read():
                piece = bytearray()
                for document, chunks in read:
                    if isinstance(chunks, Absent):
                        missing.append(document)
                        continue
                    piece += b'%b{"document_id":%b,"chunks":' % (lead, _encode(document))
                    piece += chunks
                    piece += b"}"
                    lead = b","
                yield bytes(piece)
            opening = lead if lead != b"," else b""
            yield b'%b],"missing":%b}' % (opening, _encode(missing))

        await _reply(send, pieces())

    async def as_member(self, send: Send, head: bytes) -> None:
        """Answer the object `head`, and in it `"chunks":{"<id>":[...],...}`.

        Documents whose chunks cannot be read are left out: the documents are claimed, and the
        caller must learn that in any case.
        """

        async def pieces() -> AsyncIterator[bytes]:
            lead = head[:-1] + b',"chunks":{'
            try:
                async for read in self._read():
                    piece = bytearray()
                    for document, chunks in read:
                        if isinstance(chunks, bytes):
                            piece += b"%b%b:" % (lead, _encode(document))
                            piece += chunks
                            lead = b","
                    yield bytes(piece)
            except (UnableError, UnknownPipelineError):
                pass
            opening = lead if lead != b"," else b""
            yield opening + b"}}"

        await _reply(send, pieces())

    async def _read(self) -> AsyncIterator[list[Found]]:
        at, count, largest = 0, 1, 1
        while at < len(self._documents):
            some = self._documents[at : at + count]
            found = await self._store.chunks(self._pipeline, some)
            yield list(zip(some, found, strict=True))
            at += count
            largest = max([largest, *(len(each) for each in found if isinstance(each, bytes))])
            count = max(1, min(2 * count, _AT_ONCE, _READ_BYTES // largest))


async def _reply(send: Send, pieces: AsyncIterator[bytes]) -> None:
    """Answer with JSON in pieces: whole, with its length, if it is small."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        if len(held) > _HELD_BYTES:
            break
    else:
        await reply_bytes(send, 200, bytes(held))
        return
    headers: Any = [SERVER, (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(held), "more_body": True})
    del held
    try:
        async for piece in pieces:
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except (UnableError, UnknownPipelineError) as error:
        raise AnswerTornError("the store could not be read to the end of an answer") from error
    await send({"type": "http.response.body", "body": b""})
