"""The row that says over how many shards a namespace is spread, and what is known of such rows.

It is a row of the namespace itself, written by `init` alone. A client that names its id is refused
or told that there is none.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hevfast.core.clock import monotonic_s
from hevfast.namespaces.asking import Asking, RefusedError

if TYPE_CHECKING:
    from hevfast.namespaces.metadata import Metadata

# Ids that begin like this are the gateway's.
RESERVED_IDS: Final = b"_hevlayer:"
MARKER_ID: Final = b"_hevlayer:namespace_meta"
SHARD_COUNT: Final = "_hevlayer_shard_count"
SCHEMA_VERSION: Final = "_hevlayer_schema_version"
SHARD: Final = "_hevlayer_shard"
STAMP: Final = "_hevlayer_upserted_at"
# Our own: the marker's stamp is set anew by any patch by filter that it passes.
SINCE: Final = "_hevlayer_shards_since"

NOT_MARKER: Final = b'["id","NotEq","%b"]' % MARKER_ID

# All attributes: one that the schema lacks must not be asked for by name.
_QUERY: Final = (
    b'{"rank_by":["id","asc"],"top_k":1,"filters":["id","Eq","%b"],"include_attributes":true}'
    % MARKER_ID
)

# Namespaces remembered; the ones first met are forgotten first.
_REMEMBERED_MAX: Final = 10_000

# Seconds that the absence of a marker is believed: another gateway may write one.
_ABSENT_S: Final = 60.0


class Marker(NamedTuple):
    """What the row says.

    `made_ms`: from then on rows are stamped by it; those stamped before may have a shard of another
    count. None: nobody noted it.
    """

    shard_count: int
    schema_version: int = 1
    made_ms: int | None = None


class _MarkerRow(msgspec.Struct):
    shard_count: int = msgspec.field(name=SHARD_COUNT)
    schema_version: int = msgspec.field(name=SCHEMA_VERSION, default=1)
    made_ms: int | None = msgspec.field(name=SINCE, default=None)


class _Rows(msgspec.Struct):
    rows: list[msgspec.Raw] = []


_decode_rows = msgspec.json.Decoder(_Rows).decode
_decode_row = msgspec.json.Decoder(_MarkerRow).decode
_encode = msgspec.json.Encoder().encode


async def read_marker(asking: Asking, namespace: bytes) -> Marker | None:
    """Ask upstream. A namespace that does not exist, or whose ids are no strings, has none.

    Raises: RefusedError for answers that leave it open; GatewayError `upstream_error`.
    """
    try:
        body = await asking.query(namespace, _QUERY)
    except RefusedError as refused:
        # 400: the ids are of another type, or the attributes unknown; either way nobody wrote one.
        if refused.answer.status in (400, 404):
            return None
        raise
    try:
        rows = _decode_rows(body).rows
        if not rows:
            return None
        row = _decode_row(rows[0])
    except msgspec.DecodeError:
        return None
    if row.shard_count < 1:
        return None
    return Marker(row.shard_count, row.schema_version, row.made_ms)


async def write_marker(
    asking: Asking, namespace: bytes, marker: Marker, metadata: "Metadata"
) -> None:
    """Write the row. Where the schema has vectors it may need them, whatever they are.

    Raises: RefusedError; GatewayError `upstream_error`.
    """
    target = f"/v2/namespaces/{namespace.decode()}"
    try:
        await asking.post(target, _row(marker, b""), "write")
    except RefusedError as refused:
        dense = metadata.dense_vectors()
        if refused.answer.status != 400 or not dense:
            raise
        members = b"".join(
            b",%b:%b" % (_encode(name), _encode([1.0] + [0.0] * (dimensions - 1)))
            for name, dimensions in dense.items()
        )
        await asking.post(target, _row(marker, members), "write")


def _row(marker: Marker, vectors: bytes) -> bytes:
    return b'{"upsert_rows":[{"id":"%b","%b":%d,"%b":%d,"%b":%d%b}]}' % (
        MARKER_ID,
        SHARD_COUNT.encode(),
        marker.shard_count,
        SCHEMA_VERSION.encode(),
        marker.schema_version,
        SINCE.encode(),
        marker.made_ms or 0,
        vectors,
    )


class Markers:
    """What this worker knows of markers."""

    __slots__ = ("_absent", "_known")

    def __init__(self) -> None:
        self._known: dict[bytes, Marker] = {}
        self._absent: dict[bytes, float] = {}

    def __repr__(self) -> str:
        return f"<Markers of {len(self._known)}, {len(self._absent)} known to have none>"

    def of(self, namespace: bytes) -> Marker | None:
        """Give the marker, if there is one and this worker knows it."""
        return self._known.get(namespace)

    def is_known(self, namespace: bytes) -> bool:
        """Tell whether it is known if there is one."""
        return namespace in self._known or self._absent.get(namespace, 0.0) > monotonic_s()

    def learn(self, namespace: bytes, marker: Marker | None) -> None:
        """Note what upstream said. A marker goes only with its namespace, which is forgotten then:

        one who asked just before it was written must not undo it.
        """
        if marker is None and namespace in self._known:
            return
        self.forget(namespace)
        if marker is not None:
            self._known[namespace] = marker
            _bound(self._known)
        else:
            self._absent[namespace] = monotonic_s() + _ABSENT_S
            _bound(self._absent)

    def forget(self, namespace: bytes) -> None:
        self._known.pop(namespace, None)
        self._absent.pop(namespace, None)


def _bound(remembered: "dict[bytes, Marker] | dict[bytes, float]") -> None:
    if len(remembered) > _REMEMBERED_MAX:
        del remembered[next(iter(remembered))]
