"""What a single worker holds in memory: documents up to a bound, and the tokens of a namespace."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hevfast.cache import transactional as rules
from hevfast.cache.transactional import Document, Held

# Digests that are indexed one by one. Larger tokens are compared whole: few of them are in flight
# at a time, and an entry for each row of a bulk write would double its cost.
_INDEXED_MAX: Final = 16

# Bytes. What a document takes beside its id and its row: four objects and an entry of the table.
_DOCUMENT_BYTES: Final = 400

_Key = tuple[bytes, int]


class Documents:
    """Documents of all namespaces, the least recently used first, and at most so many bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._documents: OrderedDict[_Key, Document] = OrderedDict()
        self._bytes = 0
        self._bytes_max = bytes_max

    def __repr__(self) -> str:
        return f"<Documents {len(self._documents)}, {self._bytes} of {self._bytes_max} bytes>"

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def bytes(self) -> int:
        return self._bytes

    def get(self, key: _Key) -> Document | None:
        return self._documents.get(key)

    def use(self, key: _Key) -> None:
        self._documents.move_to_end(key)

    def put(self, key: _Key, document: Document) -> None:
        self.remove(key)
        size = _size(document)
        if size > self._bytes_max:
            return
        self._documents[key] = document
        self._bytes += size
        while self._bytes > self._bytes_max:
            _, oldest = self._documents.popitem(last=False)
            self._bytes -= _size(oldest)

    def remove(self, key: _Key) -> None:
        document = self._documents.pop(key, None)
        if document is not None:
            self._bytes -= _size(document)


def _size(document: Document) -> int:
    return _DOCUMENT_BYTES + len(document.id) + len(document.value or b"")


class Space:
    """The tokens of one namespace; each turn of the event loop is a transaction on it."""

    __slots__ = ("_clear", "_documents", "_few", "_many", "_namespace", "_tokens")

    def __init__(self, namespace: bytes, documents: Documents, clear: Callable[[], None]) -> None:
        self._namespace = namespace
        self._documents = documents
        self._clear = clear
        self._tokens: dict[bytes, tuple[Held, Held]] = {}
        # Tokens of few digests, by digest; and those that are compared whole.
        self._few: dict[int, set[bytes]] = {}
        self._many: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._tokens)

    # Tokens

    def sharing(self, held: Held) -> Iterator[tuple[bytes, Held]]:
        if held is None or len(held) > _INDEXED_MAX:
            yield from self._overlapping(held, self._tokens)
            return
        found: dict[bytes, set[int]] = {}
        for digest in held:
            for token in self._few.get(digest, ()):
                found.setdefault(token, set()).add(digest)
        for token, shared in found.items():
            yield token, frozenset(shared)
        yield from self._overlapping(held, self._many)

    def _overlapping(self, held: Held, tokens: Iterable[bytes]) -> Iterator[tuple[bytes, Held]]:
        for token in tokens:
            shared = rules.overlap(held, self._tokens[token][0])
            if shared is None or shared:
                yield token, shared

    def held(self, token: bytes) -> Held:
        return self._tokens[token][0]

    def spoiled(self, token: bytes) -> Held:
        return self._tokens[token][1]

    def insert(self, token: bytes, held: Held, spoiled: Held) -> None:
        self._tokens[token] = held, spoiled
        if held is None or len(held) > _INDEXED_MAX:
            self._many.add(token)
        else:
            for digest in held:
                self._few.setdefault(digest, set()).add(token)

    def spoil(self, token: bytes, rows: Held) -> None:
        held, spoiled = self._tokens[token]
        self._tokens[token] = held, rules.union(spoiled, rows)

    def drop(self, token: bytes) -> None:
        if token not in self._tokens:
            return
        held, _ = self._tokens.pop(token)
        self._many.discard(token)
        if held is None or len(held) > _INDEXED_MAX:
            return
        for digest in held:
            tokens = self._few[digest]
            tokens.discard(token)
            if not tokens:
                del self._few[digest]

    # Documents

    def get(self, digest: int) -> Document | None:
        return self._documents.get((self._namespace, digest))

    def put(self, digest: int, document: Document) -> None:
        self._documents.put((self._namespace, digest), document)

    def remove(self, digest: int) -> None:
        self._documents.remove((self._namespace, digest))

    def clear(self) -> None:
        self._clear()
