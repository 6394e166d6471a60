"""Rows and leases in LMDB, and the rules by which one may be read, put and filled.

A record is a head and what follows it. The head of a row is `V`, of a lease `L`, then the
namespace's epoch and the host's fence as they were when its write or fetch began: a record with
another epoch or fence than the current ones is void. All functions run inside one transaction.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hevfast.cache import lmdb_tokens as tokens
from hevfast.cache.lmdb_file import View
from hevfast.cache.rows import Kind

# Bytes of a key that LMDB takes; a row with a longer id is not cached.
KEY_BYTES_MAX: Final = 511

# Bytes that stand for a namespace in keys: a hash of its name, so that names of any length fit.
NAMESPACE_BYTES: Final = 16
HEAD_BYTES: Final = 17
MARK_BYTES: Final = 16
_EPOCH_START: Final = bytes(8)

_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode_row = msgspec.json.Encoder().encode


def head_of(view: View, namespace: bytes, fence: int) -> bytes:
    """Give what stands behind the first byte of every valid record of the namespace."""
    epoch = view.get(view.file.namespaces, namespace) or _EPOCH_START
    return bytes(epoch) + fence.to_bytes(8, "big")


def bump(view: View, namespace: bytes) -> None:
    """Void all records of a namespace."""
    epoch = view.get(view.file.namespaces, namespace) or _EPOCH_START
    after = int.from_bytes(epoch, "big") + 1
    view.put(view.file.namespaces, namespace, after.to_bytes(8, "big"))


def lookup(
    view: View,
    namespace: bytes,
    ids: Sequence[bytes],
    fence: int,
) -> tuple[list[bytes | None], bytes]:
    """Give the valid rows of some ids, and the head that a lease must carry."""
    head = head_of(view, namespace, fence)
    valid = b"V" + head
    rows: list[bytes | None] = []
    for text in ids:
        record = view.get(view.file.documents, namespace + text) if _fits(text) else None
        rows.append(record[HEAD_BYTES:] if record and record.startswith(valid) else None)
    return rows, head


def lease(view: View, keys: Sequence[bytes], mark: bytes, head: bytes) -> list[bool]:
    """Lease missing rows; tell for each key whether it was had.

    A valid row that came meanwhile is left. Another fetch's lease is taken over: the younger one
    read upstream later, and the elder's fill will find that the lease is not its own.
    """
    had = []
    for key in keys:
        record = view.get(view.file.documents, key)
        taken = record is not None and record.startswith(b"V" + head)
        if not taken:
            view.put(view.file.documents, key, b"L" + head + mark)
        had.append(not taken)
    return had


def fill(view: View, key: bytes, mark: bytes, row: bytes, fence: int) -> bool:
    """Put a row that upstream gave, if the lease is still its own and nothing was voided since."""
    head = head_of(view, key[:NAMESPACE_BYTES], fence)
    if view.get(view.file.documents, key) != b"L" + head + mark:
        return False
    view.put(view.file.documents, key, b"V" + head + row)
    return True


def keep(
    view: View,
    namespace: bytes,
    part: tuple[Kind, list[tuple[bytes, bytes | None]]],
    is_spoiled: Callable[[bytes], bool],
    stamp: bytes,
) -> None:
    """Put, merge or remove the rows of one part of an applied write.

    `stamp` is the head as it was when the write began. With the current one, rows would outlive
    what another write voided in the meantime because it could not be told apart from this one.
    """
    kind, rows = part
    head = b"V" + stamp
    puts: list[tuple[bytes, bytes]] = []
    for text, row in rows:
        if not _fits(text):
            continue
        key = namespace + text
        value = None if row is None or is_spoiled(text) else row
        if kind is Kind.PATCH and value is not None:
            value = _patched(view.get(view.file.documents, key), head, value)
        if value is None or kind not in (Kind.UPSERT, Kind.PATCH):
            view.delete(view.file.documents, key)
        else:
            puts.append((key, head + value))
    if puts:
        view.put_many(view.file.documents, puts)


def invalidate(
    view: View,
    mark: bytes,
    token: tokens.Token,
    ids: Sequence[bytes] | None,
) -> None:
    """Take out all that a write may have changed, and spoil it in every write in flight.

    Without ids (they are not known any more, or the write touched everything) the namespace's
    records are all voided, in one step.
    """
    tokens.spoil_others(view, mark, token)
    take_out(view, token.namespace, ids)
    tokens.remove(view, mark)


def take_out(view: View, namespace: bytes, ids: Sequence[bytes] | None) -> None:
    """Remove rows and leases; all of the namespace's without ids. Always safe."""
    if ids is None:
        bump(view, namespace)
        return
    for text in ids:
        if _fits(text):
            view.delete(view.file.documents, namespace + text)


@functools.lru_cache(maxsize=4096)
def namespace_key(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=NAMESPACE_BYTES).digest()


def _fits(text: bytes) -> bool:
    return len(text) <= KEY_BYTES_MAX - NAMESPACE_BYTES


def _patched(record: bytes | None, head: bytes, patch: bytes) -> bytes | None:
    """Merge a patch onto the cached row; None if no whole row is there to merge it onto."""
    if record is None or not record.startswith(head):
        return None
    merged = _decode_row(record[HEAD_BYTES:]) | _decode_row(patch)
    return _encode_row({name: raw for name, raw in merged.items() if bytes(raw) != b"null"})
