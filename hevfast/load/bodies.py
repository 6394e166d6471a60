"""Seeded write bodies: by name for every bench, and by ids for the load tool.

A name of `SHAPES` reads `rows<count>_dim<floats>_<encoding>`. Building is deterministic: the same
name gives the same bytes on every machine.
"""

import base64
import json
import random
import struct
from collections.abc import Callable, Iterable

SEED = 20260101
WORDS = (
    "reef",
    "tide",
    "kelp",
    "atoll",
    "harbour",
    "lagoon",
    "current",
    "basalt",
    "plover",
    "delta",
)


def _vector(rng: random.Random, dim: int) -> list[float]:
    # Seven digits are what a float32 prints as; more would make bodies longer than real ones.
    return [round(rng.uniform(-1, 1), 7) for _ in range(dim)]


def _title(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _encode(vector: list[float], encoding: str) -> object:
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def rows(count: int, dim: int, encoding: str = "float") -> bytes:
    """An upsert of rows with a vector and three attributes; encoding: float, base64 or spaced."""
    rng = random.Random(SEED + count * 31 + dim)
    made = [
        {
            "id": i + 1,
            "vector": _encode(_vector(rng, dim), encoding),
            "title": _title(rng, 4),
            "price": rng.randrange(100_000),
            "active": rng.random() < 0.5,
        }
        for i in range(count)
    ]
    body = {"distance_metric": "cosine_distance", "upsert_rows": made}
    if encoding == "spaced":
        return json.dumps(body, ensure_ascii=False).encode()
    return compact(body)


def columns(count: int, dim: int, encoding: str = "float") -> bytes:
    """The same kind of rows in columns form."""
    rng = random.Random(SEED + count * 31 + dim)
    return compact(
        {
            "distance_metric": "cosine_distance",
            "upsert_columns": {
                "id": list(range(1, count + 1)),
                "vector": [_encode(_vector(rng, dim), encoding) for _ in range(count)],
                "title": [_title(rng, 4) for _ in range(count)],
                "price": [rng.randrange(100_000) for _ in range(count)],
            },
        }
    )


def text_row() -> bytes:
    """A 1.5 KB single row: the small write of the latency figures."""
    rng = random.Random(SEED)
    row = {
        "id": "doc-1",
        "vector": _vector(rng, 96),
        "title": _title(rng, 8),
        "body": _title(rng, 60),
    }
    return compact({"distance_metric": "cosine_distance", "upsert_rows": [row]})


class Rows:
    """Rows of one make under any ids, put together from some that were encoded beforehand."""

    # As many different vectors and texts as keep a compressor or a cache from seeing one row only.
    KINDS = 32

    def __init__(
        self, dim: int, text_bytes: int, encoding: str = "float", seed: int = SEED
    ) -> None:
        rng = random.Random(seed + dim)
        self._ends = [
            compact(
                {
                    "vector": _encode(_vector(rng, dim), encoding),
                    "title": _title(rng, 4),
                    "body": _text(rng, text_bytes),
                    "price": rng.randrange(100_000),
                }
            )[1:]
            for _ in range(self.KINDS)
        ]

    def upsert(self, ids: Iterable[str]) -> bytes:
        """The write of rows with these ids, which need no escaping in JSON."""
        made = (
            b'{"id":"%s",%s' % (identity.encode(), self._ends[place % self.KINDS])
            for place, identity in enumerate(ids)
        )
        head = b'{"distance_metric":"cosine_distance","upsert_rows":['
        return head + b",".join(made) + b"]}"


def chunks(document: str, count: int, text_bytes: int, rng: random.Random) -> bytes:
    """The body that stages a document of so many chunks."""
    made = [
        {"id": f"{document}-{place}", "text": _text(rng, text_bytes), "metadata": {"page": place}}
        for place in range(count)
    ]
    return compact({"chunks": made})


def vector(dim: int, rng: random.Random) -> list[float]:
    return _vector(rng, dim)


def _text(rng: random.Random, length: int) -> str:
    return _title(rng, length // 4 + 1)[:length]


SHAPES: dict[str, Callable[[], bytes]] = {
    "row1_1500b": text_row,
    "rows100_dim128_float": lambda: rows(100, 128),
    "rows1000_dim768_float": lambda: rows(1000, 768),
    "rows1000_dim768_base64": lambda: rows(1000, 768, "base64"),
    "rows1000_dim768_spaced": lambda: rows(1000, 768, "spaced"),
    "rows10000_dim8_float": lambda: rows(10_000, 8),
    "columns1000_dim768_float": lambda: columns(1000, 768),
    "deletes10000": lambda: compact({"deletes": list(range(10_000))}),
}


def body(name: str) -> bytes:
    """The body of a name in SHAPES."""
    return SHAPES[name]()
