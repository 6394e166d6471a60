"""What the node keeps: namespaces of records, their lives, and the clock they live by."""

import dataclasses
import threading
import time
from collections.abc import Iterable

from .codes import TTL_DEFAULT, TTL_DONT_UPDATE, TTL_MAX_S, TTL_NEVER, Code, Refusal
from .expressions import Subject
from .values import Value

# Seconds from the epoch of Unix to that of Aerospike, the start of 2010.
EPOCH_S = 1262304000

# Bytes of a stored record without set, key, time to live and bins: its header and its end mark.
_RECORD_BYTES = 35 + 4


@dataclasses.dataclass(frozen=True)
class Record:
    """One record. Operations make a new one, so that a failing one leaves the old as it was."""

    digest: bytes
    set_name: str
    bins: dict[str, Value]
    generation: int
    # Seconds of the node's clock; 0 is "never".
    void_time_s: int
    last_update_ms: int
    key: bytes = b""

    @property
    def stored_bytes(self) -> int:
        """What the record takes of max-record-size: the larger ones get RECORD_TOO_BIG."""
        size = _RECORD_BYTES + (4 if self.void_time_s else 0)
        size += 1 + len(self.set_name) if self.set_name else 0
        size += 1 + len(self.key) if self.key else 0
        size += 1 if self.bins else 0
        return size + sum(1 + len(name) + value.stored_bytes for name, value in self.bins.items())


class Clock:
    """The node's clock. A test moves it instead of waiting."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 - EPOCH_S * 1000 + self.offset_ms


class Namespace:
    """A namespace's records and settings, by their names in the server's configuration."""

    def __init__(
        self,
        name: str,
        *,
        default_ttl_s: int = 0,
        nsup_period_s: int = 2,
        allow_ttl_without_nsup: bool = False,
        max_record_bytes: int = 1024 * 1024,
    ) -> None:
        self.name = name
        self.default_ttl_s = default_ttl_s
        self.nsup_period_s = nsup_period_s
        self.allow_ttl_without_nsup = allow_ttl_without_nsup
        self.max_record_bytes = max_record_bytes
        self.stop_writes = False
        self.clock = Clock()
        # Records are read and changed under this lock: by the node, and by a test beside it.
        self.lock = threading.RLock()
        self._records: dict[bytes, Record] = {}
        # Threshold of the last truncation, by set; the namespace's own has the name "".
        self._truncated_ms: dict[str, int] = {}

    def __repr__(self) -> str:
        full = ", full" if self.stop_writes else ""
        return f"Namespace({self.name!r}, {len(self._records)} records{full})"

    def find(self, digest: bytes) -> Record | None:
        """Give a record that lives: neither expired nor truncated."""
        record = self._records.get(digest)
        if record is None or self._lives(record):
            return record
        del self._records[digest]
        return None

    def store(self, record: Record) -> None:
        if record.stored_bytes > self.max_record_bytes:
            raise Refusal(Code.RECORD_TOO_BIG)
        self._records[record.digest] = record

    def drop(self, digest: bytes) -> bool:
        return self._records.pop(digest, None) is not None

    def records(self) -> list[Record]:
        """Give all living records."""
        with self.lock:
            return [record for record in self._records.values() if self._lives(record)]

    def load(self, records: Iterable[Record]) -> None:
        """Have these records and no others."""
        with self.lock:
            self._records = {record.digest: record for record in records}
            self._truncated_ms.clear()

    def drop_set(self, set_name: str) -> int:
        """Forget a set's records, as if they had never been; give how many."""
        with self.lock:
            found = [r.digest for r in self._records.values() if r.set_name == set_name]
            for digest in found:
                del self._records[digest]
            return len(found)

    def evict(self, count: int) -> int:
        """Drop the records with the least time to live. Those that never expire stay."""
        with self.lock:
            mortal = [record for record in self.records() if record.void_time_s]
            mortal.sort(key=lambda record: record.void_time_s)
            for record in mortal[:count]:
                del self._records[record.digest]
            return len(mortal[:count])

    def truncate(self, set_name: str, before_ms: int | None) -> None:
        """Drop what was last updated before a millisecond; a record of that millisecond stays."""
        now = self.clock.now_ms()
        threshold = now if before_ms is None else before_ms
        if threshold > now or threshold <= 0:
            raise Refusal(Code.PARAMETER)
        with self.lock:
            self._truncated_ms[set_name] = max(threshold, self._truncated_ms.get(set_name, 0))
            for record in list(self._records.values()):
                if not self._lives(record):
                    del self._records[record.digest]

    def void_time_s(self, ttl: int, old: Record | None) -> int:
        """Give the second in which a record written now with this time to live ends."""
        if ttl == TTL_DONT_UPDATE:
            if old is not None:
                return old.void_time_s
            ttl = TTL_DEFAULT
        if ttl == TTL_DEFAULT:
            ttl = self.default_ttl_s or TTL_NEVER
        if ttl == TTL_NEVER:
            return 0
        if ttl > TTL_MAX_S:
            raise Refusal(Code.PARAMETER)
        if self.nsup_period_s == 0 and not self.allow_ttl_without_nsup:
            # Nothing would ever remove the record.
            raise Refusal(Code.FORBIDDEN)
        return self.clock.now_ms() // 1000 + ttl

    def subject(self, record: Record) -> Subject:
        """Show a record to an expression."""
        now = self.clock.now_ms()
        end = record.void_time_s
        return Subject(
            bins=record.bins,
            set_name=record.set_name,
            since_update_ms=max(0, now - record.last_update_ms),
            last_update_ns=(record.last_update_ms + EPOCH_S * 1000) * 1_000_000,
            ttl_s=max(0, end - now // 1000) if end else -1,
            void_time_ns=(end + EPOCH_S) * 1_000_000_000 if end else -1,
            key_stored=bool(record.key),
        )

    def _lives(self, record: Record) -> bool:
        # The granularity is a second: the record is still there in the one it ends in.
        if record.void_time_s and record.void_time_s < self.clock.now_ms() // 1000:
            return False
        return all(
            record.last_update_ms >= self._truncated_ms.get(name, 0)
            for name in {"", record.set_name}
        )
