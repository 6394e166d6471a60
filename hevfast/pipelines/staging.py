"""What is staged: chunks, checked and kept as they were sent. Pure."""

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.pipelines.listing import Listing


class Chunk(msgspec.Struct, gc=False):
    """A chunk, as far as it is read; all other members are kept, too."""

    id: str
    text: str | None = None


class DocumentChunks(msgspec.Struct, gc=False):
    """A document of a batch. Its chunks are read one document at a time."""

    id: str
    chunks: msgspec.Raw = msgspec.Raw()


decode_chunks = msgspec.json.Decoder(list[Chunk]).decode
_decode_documents = msgspec.json.Decoder(list[DocumentChunks]).decode

# `PUT .../documents/{doc}`. Chunks end with text or with an object.
CHUNKS: Listing[Chunk] = Listing("chunks", decode_chunks, '"}]')

# `POST .../documents`. Documents end with their chunks.
DOCUMENTS: Listing[DocumentChunks] = Listing("documents", _decode_documents, "]")


class ChunkIds:
    """The ids of one document's chunks, in their order, each of them once."""

    __slots__ = ("_seen", "ids")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._seen: set[str] = set()

    def take(self, chunks: list[Chunk]) -> None:
        """Raises: GatewayError `validation_error` for an id that is blank or there already."""
        ids = [chunk.id for chunk in chunks]
        seen = self._seen
        seen.update(ids)
        self.ids += ids
        # Both faults are rare: look for them one by one only if there is one.
        if len(seen) < len(self.ids) or any(not each or each.isspace() for each in ids):
            self._explain()

    def _explain(self) -> None:
        seen: set[str] = set()
        for n, each in enumerate(self.ids):
            if not each or each.isspace():
                raise GatewayError("validation_error", f"chunks[{n}]: `id` is blank.")
            if each in seen:
                raise GatewayError(
                    "validation_error", f"chunks[{n}]: `id` is that of an earlier chunk, too."
                )
            seen.add(each)
