"""What upstream's metadata say of a namespace, and what the gateway adds to them. Pure."""

import re
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from hevfast.core.clock import MS_PER_S
from hevfast.namespaces.asking import read_as
from hevfast.namespaces.marker import SHARD_COUNT, Marker

# A dense vector's type, such as [768]f32.
_DENSE: Final = re.compile(r"\[(\d{1,6})\](?:f32|f16|i8)")


class Stability(Protocol):
    """How far a namespace's index is.

    `stable_as_of`, in milliseconds since the epoch: every row stamped up to then is indexed; None:
    that is not known of any moment.
    """

    @property
    def stable_as_of(self) -> int | None: ...

    @property
    def is_stable(self) -> bool: ...


class Index(msgspec.Struct):
    status: str = ""
    unindexed_bytes: int | None = None
    unindexed_rows: int | None = None


class Metadata(msgspec.Struct):
    """Upstream's metadata, as far as they are read."""

    schema: dict[str, msgspec.Raw] = {}
    approx_logical_bytes: int | None = None
    approx_row_count: int | None = None
    last_write_at: str | None = None
    index: Index | None = None

    def type_of(self, attribute: str) -> str:
        """Give an attribute's type, "" if the schema lacks it."""
        return _type_of(self.schema[attribute]) if attribute in self.schema else ""

    def dense_vectors(self) -> dict[str, int]:
        """Give the dimensions of the dense vector attributes by name."""
        found = {}
        for name, entry in self.schema.items():
            dense = _DENSE.fullmatch(_type_of(entry))
            if dense is not None:
                found[name] = int(dense.group(1))
        return found

    @property
    def may_have_marker(self) -> bool:
        return SHARD_COUNT in self.schema

    @property
    def is_indexed(self) -> bool | None:
        """Tell whether all is indexed; None if upstream does not say."""
        return None if self.index is None else self.index.status == "up-to-date"


_decode = msgspec.json.Decoder(Metadata).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_metadata(body: bytes) -> Metadata:
    """Read upstream's answer.

    Raises: GatewayError `upstream_error`.
    """
    read: Metadata = read_as(_decode, body)
    return read


def layer_of(
    metadata: Metadata, stability: Stability, marker: Marker | None, lag_rows: int
) -> dict[str, Any]:
    """Give Layer's block; `lag_rows`: rows that have no shard yet, of a marked namespace."""
    layer: dict[str, Any] = {
        "stable_as_of": stability.stable_as_of,
        "is_stable": stability.is_stable,
        "shard_state": "unsharded",
        "scatter_gather_active": False,
    }
    if metadata.is_indexed is not None:
        layer["indexed"] = metadata.is_indexed
        lag = metadata.index.unindexed_rows if metadata.index is not None else None
        if metadata.is_indexed or lag is not None:
            layer["index_lag_rows"] = 0 if metadata.is_indexed else lag
    if marker is not None:
        layer |= {
            "schema_version": marker.schema_version,
            "init_state": "running" if lag_rows else "ready",
            "init_lag_rows": lag_rows,
            "shard_count": marker.shard_count,
            "shard_state": "backfilling" if lag_rows else "ready",
            "shard_lag_rows": lag_rows,
        }
    return layer


def with_layer(body: bytes, namespace: bytes, layer: dict[str, Any]) -> bytes:
    """Give upstream's answer with `id` and `layer`; all other members as upstream spelled them."""
    members: dict[str, Any] = read_as(_decode_members, body)
    return _encode(members | {"id": namespace.decode(), "layer": layer})


def entry_of(namespace: str, metadata: Metadata, stability: Stability) -> dict[str, Any]:
    """Give a namespace's entry in the list, without the state of the cache."""
    dimensions = list(metadata.dense_vectors().values())
    entry: dict[str, Any] = {
        "id": namespace,
        "name": namespace,
        "row_count": metadata.approx_row_count,
        "size_bytes": metadata.approx_logical_bytes,
        "stable_as_of_ms": stability.stable_as_of,
        "is_stable": stability.is_stable,
        "schema_summary": {
            "vector_dim": dimensions[0] if dimensions else None,
            "fields": list(metadata.schema),
        },
        "last_write_ms": _epoch_ms(metadata.last_write_at),
    }
    if metadata.index is not None and metadata.index.status in ("updating", "up-to-date"):
        entry["index"] = {
            "status": metadata.index.status,
            "unindexed_bytes": metadata.index.unindexed_bytes or 0,
        }
    return entry


def _type_of(entry: msgspec.Raw) -> str:
    declared = msgspec.json.decode(entry)
    if isinstance(declared, dict):
        declared = declared.get("type")
    return declared if isinstance(declared, str) else ""


def _epoch_ms(moment: str | None) -> int | None:
    if moment is None:
        return None
    try:
        return round(datetime.fromisoformat(moment).timestamp() * MS_PER_S)
    except ValueError:
        return None
