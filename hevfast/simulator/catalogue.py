"""All namespaces of one simulator: finding, creating, listing, copying and deleting them."""

import base64
import binascii
import re
from bisect import bisect_right

from .answers import Refusal, bad_request, namespace_missing
from .commit import commit, copy_answer, write_answer
from .indexing import Indexing
from .limits import NAMESPACE_NAME_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from .namespace import Namespace
from .options import Options
from .plan import plan
from .types import Kind
from .write import Write

_NAME = re.compile(rf"[A-Za-z0-9\-_.]{{1,{NAMESPACE_NAME_BYTES_MAX}}}")


def check_namespace_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise bad_request(f"invalid namespace name {name[:140]!r}: expected {_NAME.pattern}")
    return name


class Catalogue:
    """The namespaces. Every method runs to its end between two awaits and is thereby atomic."""

    def __init__(self, options: Options, indexing: Indexing) -> None:
        self._options = options
        self._indexing = indexing
        self._namespaces: dict[str, Namespace] = {}

    def __repr__(self) -> str:
        return f"<Catalogue namespaces={len(self._namespaces)}>"

    def find(self, name: str) -> Namespace:
        namespace = self._namespaces.get(check_namespace_name(name))
        if namespace is None:
            raise namespace_missing(name)
        namespace.catch_up()
        return namespace

    def vector_names(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Name the attributes that are dense vectors and those that are not."""
        namespace = self._namespaces.get(check_namespace_name(name))
        if namespace is None:
            return frozenset(), frozenset()
        schema = namespace.schema
        dense = frozenset(key for key, entry in schema.items() if entry.type.kind is Kind.DENSE)
        return dense, frozenset(schema) - dense

    def write(self, name: str, write: Write, started_s: float) -> dict[str, object]:
        """Apply one write, all of it or nothing."""
        namespace = self._namespaces.get(name)
        if namespace is not None:
            check_writable(namespace)
            namespace.catch_up()
            self._check_backlog(namespace, write)
        if write.copy_from is not None:
            return self._copy(name, write.copy_from, write, started_s)
        if write.branch_from is not None:
            return self._branch(name, write.branch_from, started_s)
        if namespace is not None:
            planned = plan(namespace, write, self._options, fresh=False)
            _check_settings(namespace, write)
            commit(planned)
            return write_answer(planned, started_s)
        # Only documents, or an explicit wish, bring a namespace into being. What a delete by id
        # answers on a missing one is unconfirmed; clients treat 404 as "nothing to do".
        if write.create is False or not (write.carries_documents or write.create):
            raise namespace_missing(name)
        namespace = Namespace(name, self._indexing)
        planned = plan(namespace, write, self._options, fresh=True)
        namespace.encryption = write.encryption or namespace.encryption
        namespace.shard_count = write.shard_count
        commit(planned)
        self._namespaces[name] = namespace
        return write_answer(planned, started_s)

    def _check_backlog(self, namespace: Namespace, write: Write) -> None:
        """Push back while too much is not indexed; only plain upserts and deletes may pass.

        The text is unconfirmed.
        """
        if not namespace.is_backlogged or (write.disable_backpressure and not write.reads):
            return
        unindexed = namespace.backlog.size_bytes
        raise Refusal(429, f"namespace '{namespace.name}' has {unindexed} bytes of unindexed data")

    def _copy(
        self, name: str, source_name: str, write: Write, started_s: float
    ) -> dict[str, object]:
        source = self.find(source_name)
        held = self._namespaces.get(name)
        if held is not None and held.documents:
            raise _destination_exists(name)
        twin = source.copy(name)
        twin.encryption = write.encryption or twin.encryption
        twin.shard_count = write.shard_count or twin.shard_count
        self._namespaces[name] = twin
        return copy_answer(len(twin.documents), twin.logical_bytes, started_s)

    def _branch(self, name: str, source_name: str, started_s: float) -> dict[str, object]:
        source = self.find(source_name)
        if name in self._namespaces:
            raise _destination_exists(name)
        twin = source.copy(name)
        twin.parent = source.name
        self._namespaces[name] = twin
        # A branch shares the parent's rows, so nothing was written (unconfirmed).
        return copy_answer(len(twin.documents), 0, started_s)

    def update_schema(self, name: str, wanted: dict[str, object]) -> Namespace:
        """Merge bare schema entries into a namespace, as a write of only a schema does."""
        namespace = self.find(name)
        check_writable(namespace)
        commit(plan(namespace, Write(schema=wanted), self._options, fresh=False))
        return namespace

    def delete(self, name: str) -> None:
        self.find(name)
        del self._namespaces[name]

    def page(self, prefix: str, cursor: str, page_size: str) -> dict[str, object]:
        """List names in ascending order (the order is unconfirmed), one page at a time."""
        size = _page_size(page_size)
        names = sorted(name for name in self._namespaces if name.startswith(prefix))
        start = bisect_right(names, _name_of(cursor)) if cursor else 0
        shown = names[start : start + size]
        page: dict[str, object] = {"namespaces": [{"id": name} for name in shown]}
        if start + size < len(names):
            page["next_cursor"] = base64.urlsafe_b64encode(shown[-1].encode()).decode()
        return page


def check_writable(namespace: Namespace) -> None:
    if namespace.read_only:
        # The text is seen live; the status is unconfirmed.
        raise Refusal(403, f"namespace '{namespace.name}' is read-only")


def _check_settings(namespace: Namespace, write: Write) -> None:
    """Refuse settings that only the creating write may choose; the same value again is fine."""
    if write.shard_count is not None and write.shard_count != (namespace.shard_count or 1):
        raise bad_request("sharding is fixed when the namespace is created")
    if write.encryption is not None and write.encryption != namespace.encryption:
        raise bad_request("encryption is fixed when the namespace is created")


def _destination_exists(name: str) -> Refusal:
    return bad_request(f"destination namespace already exists: {name}")


def _page_size(text: str) -> int:
    if not text:
        return PAGE_SIZE_DEFAULT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= PAGE_SIZE_MAX:
        raise bad_request(f"page_size: found {text[:20]!r}, expected 1 to {PAGE_SIZE_MAX}")
    return int(text)


def _name_of(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError) as fault:
        raise bad_request("cursor: not one that this service gave out") from fault
