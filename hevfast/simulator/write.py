"""A write request as operations: shapes are checked here, meaning where it is applied.

Nothing here looks at stored state, so that a large body can be read in a thread while other
requests go on.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import msgspec

from . import shapes
from .answers import bad_request, bad_shape
from .documents import Batch, from_columns, from_rows
from .indexes import metric_of
from .limits import SHARDS_MAX
from .schema import dense_declared

CONDITIONS = ("upsert_condition", "patch_condition", "delete_condition")

_CLOUD_KEY = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+|arn:aws[\w-]*:kms:.+"
)


@dataclass(slots=True)
class Write:
    """One decoded write. None stands for a field that was absent or null."""

    upserts: list[Batch] = field(default_factory=list)
    patches: list[Batch] = field(default_factory=list)
    deletes: list[object] | None = None
    delete_filter: list[object] | None = None
    patch_filter: list[object] | None = None
    patch: dict[str, object] = field(default_factory=dict)
    delete_partial: bool = False
    patch_partial: bool = False
    conditions: dict[str, list[object]] = field(default_factory=dict)
    schema: dict[str, object] = field(default_factory=dict)
    metric: str | None = None
    encryption: dict[str, object] | None = None
    shard_count: int | None = None
    create: bool | None = None
    affected_ids: bool = False
    disable_backpressure: bool = False
    copy_from: str | None = None
    branch_from: str | None = None

    @property
    def carries_documents(self) -> bool:
        """Whether the write holds at least one document that may create the namespace."""
        return any(batch.ids for batch in self.upserts)

    @property
    def row_count(self) -> int:
        batches = (*self.upserts, *self.patches)
        return sum(len(batch.ids) for batch in batches) + len(self.deletes or ())

    @property
    def touches_documents(self) -> bool:
        changes = (self.deletes, self.delete_filter, self.patch_filter)
        return bool(self.upserts or self.patches) or any(change is not None for change in changes)

    @property
    def reads(self) -> bool:
        """Whether the write must read stored rows, and is billed for it."""
        by_filter = self.delete_filter is not None or self.patch_filter is not None
        return by_filter or bool(self.patches or self.conditions)


def parse_json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        # 400 or 422 for malformed JSON is unconfirmed.
        raise bad_request(f"invalid JSON: {fault}") from fault


def decode_write(
    body: bytes, stored_dense: AbstractSet[str], stored_other: AbstractSet[str]
) -> Write:
    """Decode a write body.

    `stored_dense` and `stored_other` name the attributes that the namespace already has as dense
    vectors and as anything else. They only tell which columns to decode here, in bulk; the types
    are checked when the write is applied.
    """
    # Unknown top-level fields are ignored; whether the service refuses them is unconfirmed.
    fields = {
        name: value
        for name, value in shapes.mapping("request", parse_json(body)).items()
        if value is not None
    }
    write = Write()
    _read_documents(write, fields)
    _read_by_filter(write, fields)
    _read_settings(write, fields)
    dense = set(stored_dense) | dense_declared(write.schema)
    if "vector" not in stored_other and "vector" not in write.schema:
        dense.add("vector")
    for batch in write.upserts:
        for name in sorted(dense):
            batch.lift(name)
    return write


def decode_copy(body: bytes) -> Write:
    """Decode the body of an asynchronous copy, which holds nothing else."""
    write = decode_write(body, frozenset(), frozenset())
    if write.copy_from is None:
        raise bad_shape("missing field `copy_from_namespace`")
    return write


def _read_documents(write: Write, fields: dict[str, object]) -> None:
    for name, read in (
        ("upsert_rows", from_rows),
        ("upsert_columns", from_columns),
        ("patch_rows", from_rows),
        ("patch_columns", from_columns),
    ):
        if name in fields:
            batches = write.patches if name.startswith("patch") else write.upserts
            batches.append(read(name, fields[name]))
    if "deletes" in fields:
        write.deletes = shapes.sequence("deletes", fields["deletes"])
    for name in CONDITIONS:
        if name in fields:
            write.conditions[name] = shapes.sequence(name, fields[name])


def _read_by_filter(write: Write, fields: dict[str, object]) -> None:
    if "delete_by_filter" in fields:
        write.delete_filter = shapes.sequence("delete_by_filter", fields["delete_by_filter"])
    if "patch_by_filter" in fields:
        given = shapes.mapping("patch_by_filter", fields["patch_by_filter"])
        for name in ("filters", "patch"):
            if name not in given:
                raise bad_shape(f"patch_by_filter: missing field `{name}`")
        write.patch_filter = shapes.sequence("patch_by_filter.filters", given["filters"])
        write.patch = shapes.mapping("patch_by_filter.patch", given["patch"])
        if "id" in write.patch:
            raise bad_request("patch_by_filter: `id` cannot be patched")
    write.delete_partial = _flag(fields, "delete_by_filter_allow_partial")
    write.patch_partial = _flag(fields, "patch_by_filter_allow_partial")


def _read_settings(write: Write, fields: dict[str, object]) -> None:
    if "schema" in fields:
        write.schema = shapes.mapping("schema", fields["schema"])
    if "distance_metric" in fields:
        write.metric = metric_of("distance_metric", fields["distance_metric"])
    if "encryption" in fields:
        write.encryption = _encryption(shapes.mapping("encryption", fields["encryption"]))
    if "sharding" in fields:
        sharding = shapes.mapping("sharding", fields["sharding"])
        write.shard_count = shapes.count("sharding.num_shards", sharding.get("num_shards"))
        if not 1 <= write.shard_count <= SHARDS_MAX:
            raise bad_request(f"sharding.num_shards must be 1 to {SHARDS_MAX}")
    if "create_namespace" in fields:
        write.create = shapes.boolean("create_namespace", fields["create_namespace"])
    write.affected_ids = _flag(fields, "return_affected_ids")
    write.disable_backpressure = _flag(fields, "disable_backpressure")
    write.copy_from = _source(fields, "copy_from_namespace")
    write.branch_from = _source(fields, "branch_from_namespace")
    if write.copy_from is not None or write.branch_from is not None:
        _check_source_alone(write)


def _check_source_alone(write: Write) -> None:
    if write.copy_from is not None and write.branch_from is not None:
        raise bad_request("copy_from_namespace and branch_from_namespace exclude each other")
    if write.touches_documents or write.schema:
        raise bad_request(
            "copy_from_namespace and branch_from_namespace exclude documents and schema"
        )


def _source(fields: dict[str, object], name: str) -> str | None:
    """Read the string or the object form; key, region and encryption of the source are not used."""
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    given = shapes.mapping(name, value)
    if "source_namespace" not in given:
        raise bad_shape(f"{name}: missing field `source_namespace`")
    return shapes.text(f"{name}.source_namespace", given["source_namespace"])


def _encryption(given: dict[str, object]) -> dict[str, object]:
    """Bring the old `cmek` form to the new one and check the key's shape."""
    if isinstance(given.get("cmek"), dict):
        given = {"mode": "customer-managed", **shapes.mapping("encryption.cmek", given["cmek"])}
    mode = shapes.text("encryption.mode", given.get("mode"))
    if mode == "default":
        return {"mode": mode}
    if mode != "customer-managed":
        raise bad_shape(
            f"encryption: unknown variant `{mode}`, expected `default` or `customer-managed`"
        )
    key = shapes.text("encryption.key_name", given.get("key_name"))
    if not _CLOUD_KEY.fullmatch(key):
        raise bad_request(f"Malformed Cloud KMS crypto key: {key}")
    found: dict[str, object] = {"mode": mode, "key_name": key}
    if given.get("encryption_context") is not None:
        context = shapes.mapping("encryption.encryption_context", given["encryption_context"])
        found["encryption_context"] = {
            name: shapes.text("encryption.encryption_context", value)
            for name, value in context.items()
        }
    return found


def _flag(fields: dict[str, object], name: str) -> bool:
    return shapes.boolean(name, fields.get(name, False))
