"""One query of many namespaces: what each is asked, and how their rows become one list. Pure."""

from typing import Any, Final

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.core.paths import is_namespace
from hevfast.namespaces.asking import Row, filters_member
from hevfast.namespaces.marker import MARKER_ID
from hevfast.namespaces.scan import null, window_fault, window_filters

# Rows that upstream gives at most (turbopuffer-wire 2).
ROWS_MAX: Final = 10_000

_MARKER: Final = b'"%b"' % MARKER_ID

_NULL: Final = null()

_encode = msgspec.json.Encoder().encode


class Fusion(msgspec.Struct):
    """Rows are merged by their rank in their own namespace."""

    per_namespace_limit: int | None = None
    rank_constant: int | None = None


class FederatedRequest(msgspec.Struct):
    """The body of a federated query."""

    namespaces: list[str] | None = None
    vector: msgspec.Raw = msgspec.field(default_factory=null)
    rank_by: msgspec.Raw = msgspec.field(default_factory=null)
    top_k: int | None = None
    filters: msgspec.Raw = msgspec.field(default_factory=null)
    include_attributes: msgspec.Raw = msgspec.field(default_factory=null)
    as_of: int | None = None
    between: tuple[int, int] | None = None
    strict: bool | None = None
    fusion: Fusion | None = None
    nearest_to_id: msgspec.Raw = msgspec.field(default_factory=null)
    cursor: str | None = None

    @property
    def rows_wanted(self) -> int:
        return 10 if self.top_k is None else self.top_k

    @property
    def rows_each(self) -> int:
        """Give how many rows each namespace is asked for."""
        limit = self.fusion.per_namespace_limit if self.fusion is not None else None
        return self.rows_wanted if limit is None else limit

    @property
    def rank_constant(self) -> int:
        constant = self.fusion.rank_constant if self.fusion is not None else None
        return 60 if constant is None else constant


_decode = msgspec.json.Decoder(FederatedRequest).decode


def read_federated(body: bytes | bytearray, namespaces_max: int) -> FederatedRequest:
    """Read and check a body.

    Raises: GatewayError `bad_request`, `validation_error`.
    """
    try:
        asked = _decode(body)
    except msgspec.ValidationError as error:
        raise GatewayError("validation_error", str(error)) from error
    except msgspec.DecodeError as error:
        raise GatewayError("bad_request", f"The body is not valid JSON: {error}") from error
    fault = _fault(asked, namespaces_max)
    if fault:
        raise GatewayError("validation_error", fault)
    return asked


def _fault(asked: FederatedRequest, namespaces_max: int) -> str:
    """Say what is wrong with a request, "" for nothing."""
    names = asked.namespaces or []
    if not names:
        return "`namespaces` names no namespace."
    if len(names) > namespaces_max:
        return f"`namespaces` names more than {namespaces_max}."
    if len(set(names)) < len(names):
        return "`namespaces` names one twice."
    for name in names:
        if not is_namespace(name.encode()):
            return f"`namespaces`: {name[:128]!r} is not a legal name."
    if asked.nearest_to_id != _NULL:
        return "`nearest_to_id` names rows of one namespace; send `vector` or `rank_by`."
    if asked.cursor is not None:
        return "`cursor` is not for several namespaces; raise `top_k`."
    if (asked.vector == _NULL) == (asked.rank_by == _NULL):
        return "a query has either `vector` or `rank_by`."
    for rows in (asked.rows_wanted, asked.rows_each):
        if not 1 <= rows <= ROWS_MAX:
            return f"`top_k` and `per_namespace_limit` are within 1..{ROWS_MAX}."
    if asked.rank_constant < 1:
        return "`rank_constant` is not 1 or more."
    return window_fault(asked.as_of, asked.between)


def query_body(asked: FederatedRequest, stable_as_of: int | None) -> bytes:
    """Give the query of one namespace in Turbopuffer's form, values as the client spelled them.

    `stable_as_of`: rows stamped later are left out; None: no row is.
    """
    rank_by = bytes(asked.rank_by)
    if asked.vector != _NULL:
        rank_by = b'["vector","ANN",%b]' % bytes(asked.vector)
    filters = [] if asked.filters == _NULL else [bytes(asked.filters)]
    filters += window_filters(asked.as_of, asked.between)
    filters += window_filters(stable_as_of, None)
    wanted = b""
    if asked.include_attributes != _NULL:
        wanted = b',"include_attributes":' + bytes(asked.include_attributes)
    return b'{"rank_by":%b,"top_k":%d,"consistency":{"level":"eventual"}%b%b}' % (
        rank_by,
        # One more, should the marker be among them.
        min(asked.rows_each + 1, ROWS_MAX),
        wanted,
        filters_member(filters),
    )


class Merge:
    """The rows of all namespaces in one order, and no more of them than asked for.

    By distance if the query is by a vector and nothing else is asked for: the very rows that one
    namespace with all of them would give. Else by the reciprocal of their ranks. Namespaces may
    come in any order; of rows that are equal, those of the one named first come first.
    """

    __slots__ = ("_by_distance", "_constant", "_each", "_ranked", "_wanted", "how")

    def __init__(self, asked: FederatedRequest) -> None:
        self._by_distance = asked.fusion is None and asked.vector != _NULL
        self._constant = asked.rank_constant
        self._each, self._wanted = asked.rows_each, asked.rows_wanted
        self._ranked: list[tuple[float, int, int, Row]] = []
        self.how: dict[str, Any] = {"method": "distance"}
        if not self._by_distance:
            self.how = {"method": "rrf", "rank_constant": self._constant}
        self.how["per_namespace_limit"] = self._each

    def take(self, place: int, name: str, rows: list[Row]) -> int:
        """Take the rows of one namespace, the `place`th of the request; give how many count.

        Raises: GatewayError `upstream_error` for a row without its distance.
        """
        own = [row for row in rows if bytes(row["id"]) != _MARKER][: self._each]
        member = {"$namespace": msgspec.Raw(_encode(name))}
        try:
            self._ranked += [
                (self._key(rank, row), place, rank, row | member)
                for rank, row in enumerate(own, start=1)
            ]
        except (KeyError, ValueError) as error:
            raise GatewayError(
                "upstream_error", "Turbopuffer query failed: a row has no distance."
            ) from error
        self._cut()
        return len(own)

    def rows(self) -> list[Row]:
        return [row for *_, row in self._ranked]

    def _key(self, rank: int, row: Row) -> float:
        if self._by_distance:
            return float(bytes(row["$dist"]))
        return -1.0 / (self._constant + rank)

    def _cut(self) -> None:
        self._ranked.sort(key=lambda each: each[:3])
        del self._ranked[self._wanted :]
