"""Rows of a marked namespace that do not have their shard yet: how many, and which."""

from typing import Final

import msgspec

from hevfast.namespaces.asking import Asking, filters_member, read_as
from hevfast.namespaces.marker import NOT_MARKER, SHARD, STAMP, Marker
from hevfast.namespaces.metadata import Metadata

_NO_SHARD: Final = b'["%b","Eq",null]' % SHARD.encode()


class _Aggregations(msgspec.Struct):
    n: int


class _Counted(msgspec.Struct):
    aggregations: _Aggregations


_decode_count = msgspec.json.Decoder(_Counted).decode


def without_shard(marker: Marker, metadata: Metadata) -> list[bytes]:
    """Give the filters that such rows pass. What the schema lacks must not be asked for."""
    if SHARD not in metadata.schema:
        return [NOT_MARKER]
    if marker.made_ms is None or STAMP not in metadata.schema:
        return [NOT_MARKER, _NO_SHARD]
    older = b'["%b","Lt",%d]' % (STAMP.encode(), marker.made_ms)
    return [NOT_MARKER, b'["Or",[%b,%b]]' % (_NO_SHARD, older)]


async def rows_without_shard(
    asking: Asking, namespace: bytes, marker: Marker, metadata: Metadata
) -> int:
    """Count them.

    Raises: RefusedError; GatewayError `upstream_error`.
    """
    return await count(asking, namespace, without_shard(marker, metadata))


async def count(asking: Asking, namespace: bytes, filters: list[bytes]) -> int:
    """Count the rows that pass all filters.

    Raises: RefusedError; GatewayError `upstream_error`.
    """
    body = b'{"aggregate_by":{"n":["Count"]}%b}' % filters_member(filters)
    counted: _Counted = read_as(_decode_count, await asking.query(namespace, body))
    return counted.aggregations.n
