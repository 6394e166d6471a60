"""The pipelines' file as a value: the shipped transactions run on it, and it can be compared."""

from bisect import bisect_left
from typing import Any

from hevfast.pipelines.lmdb_keys import number_key
from hevfast.pipelines.lmdb_pages import DATABASES, Pages
from hevfast.pipelines.model import Pipeline

# The entries of every database, sorted by key.
Contents = tuple[tuple[tuple[bytes, bytes], ...], ...]

NOTHING: Contents = ((),) * len(DATABASES)
# The first pipeline's, as keys have it.
NUMBER = number_key(1)

PIPELINE = Pipeline("p", "ns", "cosine_distance", "2026-01-01T00:00:00Z")


class Cursor:
    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self._entries = entries
        self._keys = sorted(entries)
        self._at = 0

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set_range(self, start: bytes) -> bool:
        self._at = bisect_left(self._keys, start)
        return self._at < len(self._keys)

    def next(self) -> bool:
        self._at += 1
        return self._at < len(self._keys)

    def key(self) -> bytes:
        return self._keys[self._at]

    def item(self) -> tuple[bytes, bytes]:
        return self.key(), self._entries[self.key()]

    def delete(self) -> bool:
        del self._entries[self._keys.pop(self._at)]
        return self._at < len(self._keys)


class Transaction:
    """What the shipped code asks of one of LMDB's; a database's handle is its name."""

    def __init__(self, contents: Contents) -> None:
        self.entries = {name: dict(each) for name, each in zip(DATABASES, contents, strict=True)}

    def get(self, key: bytes, default: None, db: str) -> bytes | None:
        return self.entries[db].get(key, default)

    def put(self, key: bytes, value: bytes, dup: bool, over: bool, append: bool, db: str) -> None:
        assert (dup, over, append) == (True, True, False)
        self.entries[db][key] = value

    def delete(self, key: bytes, value: bytes, db: str) -> None:
        assert value == b""
        self.entries[db].pop(key, None)

    def cursor(self, db: str) -> Cursor:
        return Cursor(self.entries[db])

    def stat(self, db: str) -> dict[str, int]:
        return {"entries": len(self.entries[db])}


class File:
    def __init__(self) -> None:
        self.databases = {name: name for name in DATABASES}


class ModelPages(Pages):
    """A transaction on contents; `committed` gives what they are after it."""

    def __init__(self, contents: Contents, now_ms: int) -> None:
        self._model = Transaction(contents)
        super().__init__(File(), self._model, now_ms)  # type: ignore[arg-type]

    def demand_room(self) -> None:
        return None

    def committed(self) -> Contents:
        self.keep()
        # The time is the model's own; without it, states that differ by it alone are one.
        self._model.entries["facts"].pop(b"now", None)
        return tuple(tuple(sorted(self._model.entries[name].items())) for name in DATABASES)

    @property
    def entries(self) -> dict[str, dict[bytes, bytes]]:
        return self._model.entries


def created() -> Contents:
    pages = ModelPages(NOTHING, 0)
    pages.create(PIPELINE)
    return pages.committed()


def tables(contents: Contents) -> dict[str, dict[bytes, Any]]:
    return {name: dict(each) for name, each in zip(DATABASES, contents, strict=True)}
