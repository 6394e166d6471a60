"""A simulator without HTTP: writes and queries go straight to the catalogue."""

import time
from typing import Any

import msgspec
import pytest

from hevfast.simulator.catalogue import Catalogue
from hevfast.simulator.indexing import Indexing
from hevfast.simulator.options import Options
from hevfast.simulator.query import is_eventual, parse_query, run
from hevfast.simulator.render import result
from hevfast.simulator.write import decode_write

NAME = "books"


class Service:
    """One catalogue; the namespace is always the same unless named."""

    def __init__(self, **options: Any) -> None:
        asked = Options(**options)
        lag_ms, most = asked.index_lag_ms, asked.unindexed_bytes_max
        self.now_s = 0.0
        self.indexing = Indexing(lag_ms, unindexed_bytes_max=most, clock=lambda: self.now_s)
        self.catalogue = Catalogue(asked, self.indexing)

    def write(self, name: str = NAME, **fields: Any) -> dict[str, Any]:
        dense, other = self.catalogue.vector_names(name)
        write = decode_write(msgspec.json.encode(fields), dense, other)
        return self.catalogue.write(name, write, time.monotonic())

    def query(self, name: str = NAME, **fields: Any) -> dict[str, Any]:
        """Return the answer as a client reads it, without billing and performance."""
        namespace = self.catalogue.find(name)
        # Through JSON and back, since that is what a client would see.
        asked = msgspec.json.decode(msgspec.json.encode(fields))
        eventual = is_eventual(asked.get("consistency"))
        seen = namespace.indexed_rows() if eventual else None
        found = run(namespace, parse_query(asked, namespace.schema), seen)
        rendered, _ = result(found, fields.get("vector_encoding", "float"))
        answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(rendered))
        return answer

    def rows(self, name: str = NAME, **fields: Any) -> list[dict[str, Any]]:
        asked = {"rank_by": ["id", "asc"], "top_k": 10_000, "include_attributes": True} | fields
        found: list[dict[str, Any]] = self.query(name, **asked)["rows"]
        return found

    def ids(self, filters: Any = None, **fields: Any) -> list[Any]:
        asked = {"include_attributes": False} | fields
        if filters is not None:
            asked["filters"] = filters
        return [row["id"] for row in self.rows(**asked)]

    def names(self) -> list[str]:
        page: Any = self.catalogue.page("", "", "")
        return [entry["id"] for entry in page["namespaces"]]

    def type_of(self, attribute: str) -> str:
        return self.catalogue.find(NAME).schema[attribute].type.name


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def limited() -> Service:
    """A service with by-filter caps low enough to reach."""
    return Service(patch_by_filter_rows_max=2, delete_by_filter_rows_max=3)
