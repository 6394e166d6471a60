"""Where the pipelines' records are, and how long: in the namespace of the registries, for ever.

What is there never expires and is never evicted. Every write says so of its record, since one that
does not gives it the namespace's default.
"""

from typing import Final, NamedTuple

import aerospike

from hevfast.cache.aerospike_client import Key, Policy

_NEVER: Final = aerospike.TTL_NEVER_EXPIRE

UPSERT: Final[Policy] = {"ttl": _NEVER}
UPDATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_UPDATE}
CREATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_CREATE}

# Maps are in the order of their keys.
ORDERED: Final[Policy] = {"map_order": aerospike.MAP_KEY_ORDERED}


class Place(NamedTuple):
    """Where one pipeline's records are."""

    namespace: str
    set_prefix: str
    number: int

    def key(self, name: str, key: bytes = b"") -> Key:
        number = self.number.to_bytes(8, "big")
        return (self.namespace, self.set_prefix + name, bytearray(number + key))

    @property
    def book(self) -> Key:
        return self.key("pipe_books")

    def document(self, document: str) -> Key:
        return self.key("pipe_documents", document.encode())

    def part(self, document: str, token: bytes, index: int) -> Key:
        return self.key("pipe_parts", token + index.to_bytes(2, "big") + document.encode())

    def segment(self, segment: bytes) -> Key:
        return self.key("pipe_lines", segment)
