"""Seeded write bodies by name, the inputs of every bench and of the load tests.

A name of `SHAPES` reads `rows<count>_dim<floats>_<encoding>`. Building is deterministic: the same
name gives the same bytes on every machine.
"""

import base64
import json
import random
import struct
from collections.abc import Callable

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
