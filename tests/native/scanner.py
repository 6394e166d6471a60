"""The C scanner with the oracle's interface: bodies in, outcomes and stamped bytes out."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.native.library import EXT, FLAGS, library
from tests.oracle.vocabulary import (
    NO_SPAN,
    ROWS_MAX,
    Cut,
    Fault,
    Key,
    Kind,
    Plan,
    Row,
    Section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN_KEYS = len(Key) - 1
# An over-read that decides something has to find bytes that change the outcome.
BEFORE = b'\\"\x01\xff' * 32
BEHIND = tuple((text * 96)[:96] for text in (b'"}]', b"\x80\xbf", b"1,2", b"\\"))
# Enough for both stamps of one row, columns' commas included.
STAMP_BYTES_MAX = 128


class SpliceError(AssertionError):
    """splice_fill broke its contract; scan_abi.c names the codes."""


class Stamping(NamedTuple):
    """How a body is to be stamped, and through which windows its bytes are taken."""

    now_ms: int = 1_764_000_000_123
    shard_count: int = 16
    stamp_shard: bool = True
    caps: tuple[int, ...] = (65536,)
    by_reference_min: int = 2**40


class Placed:
    """A body at a chosen distance from a 64-byte boundary, with hostile neighbours."""

    def __init__(self, body: bytes, misaligned: int = 0) -> None:
        self.size = len(body)
        behind = BEHIND[len(body) % len(BEHIND)]
        self._buffer = ctypes.create_string_buffer(64 + len(BEFORE) + 64 + len(body) + len(behind))
        base = ctypes.addressof(self._buffer)
        start = len(BEFORE) + 64
        start += (misaligned - base - start) % 64
        ctypes.memmove(base + start - len(BEFORE), BEFORE, len(BEFORE))
        ctypes.memmove(base + start, body, len(body))
        ctypes.memmove(base + start + len(body), behind, len(behind))
        self.address = base + start


class Scanner:
    """One build of the C scanner, in its portable or in its AVX2 form."""

    def __init__(
        self, *, portable: bool, headers: Path = EXT, flags: tuple[str, ...] = FLAGS
    ) -> None:
        self.portable = portable
        self._library = library(headers, flags)

    def __repr__(self) -> str:
        return f"Scanner({'portable' if self.portable else 'avx2'})"

    def plan(
        self,
        body: bytes,
        *,
        overwrite: bool = False,
        rows_max: int = ROWS_MAX,
        misaligned: int = 0,
    ) -> Plan | Fault:
        """Return what the oracle's `plan` should return too."""
        placed = Placed(body, misaligned)
        return self.plan_at(placed.address, placed.size, overwrite=overwrite, rows_max=rows_max)

    def plan_at(
        self, address: int, size: int, *, overwrite: bool = False, rows_max: int = ROWS_MAX
    ) -> Plan | Fault:
        """Return the outcome of a body that lies in memory already."""
        with self._scanned(address, size, overwrite, rows_max) as handle:
            return self._outcome(handle)

    def stamped(
        self,
        body: bytes,
        stamping: Stamping,
        *,
        overwrite: bool = False,
        misaligned: int = 0,
    ) -> bytes:
        """Return the stamped bytes of a good body, put together window by window."""
        placed = Placed(body, misaligned)
        return self.stamped_at(placed.address, placed.size, stamping, overwrite=overwrite)

    def stamped_at(
        self, address: int, size: int, stamping: Stamping, *, overwrite: bool = False
    ) -> bytes:
        """Return the stamped bytes of a good body that lies in memory already."""
        caps = stamping.caps
        with self._scanned(address, size, overwrite, ROWS_MAX) as handle:
            outcome = self._outcome(handle)
            if isinstance(outcome, Fault):
                raise SpliceError(f"a body with a fault cannot be stamped: {outcome}")
            stamps = len(outcome.rows) + len(outcome.sections) + 1
            out = (ctypes.c_uint8 * (size + STAMP_BYTES_MAX * stamps))()
            written = self._library.abi_splice(
                handle,
                address,
                size,
                stamping.now_ms,
                stamping.shard_count,
                int(stamping.stamp_shard),
                (ctypes.c_uint32 * len(caps))(*caps),
                len(caps),
                stamping.by_reference_min,
                out,
                len(out),
            )
        if written < 0:
            raise SpliceError(f"scan_abi.c reports {written} for {stamping}")
        return ctypes.string_at(out, written)

    def xxh64_at(self, address: int, size: int) -> int:
        return int(self._library.abi_xxh64(address, size))

    @contextmanager
    def _scanned(self, address: int, size: int, overwrite: bool, rows_max: int) -> Iterator[int]:
        handle = self._library.abi_scan(address, size, int(overwrite), rows_max, int(self.portable))
        assert handle, "scan_body returns the kind of the plan's fault"
        try:
            yield handle
        finally:
            self._library.abi_release(handle)

    def _outcome(self, handle: int) -> Plan | Fault:
        fault = (ctypes.c_int64 * 6)()
        self._library.abi_fault(handle, fault)
        kind, offset, row, op, key_start, key_end = fault
        if kind:
            # A span of no bytes says that there is no key, wherever it lies.
            key = (key_start, key_end) if key_start != key_end else NO_SPAN
            return Fault(Kind(kind), offset, row, Key(op), key)
        counts = (ctypes.c_uint32 * 5)()
        self._library.abi_counts(handle, counts)
        keys, schema_reserved, sections, rows, cuts = counts
        contents = (ctypes.c_uint32 * (KNOWN_KEYS * 2 + sections * 5 + rows * 4 + cuts * 5))()
        self._library.abi_contents(handle, contents)
        numbers = iter(contents)
        spans = [(next(numbers), next(numbers)) for _ in range(KNOWN_KEYS)]
        return Plan(
            {Key(key): spans[key] for key in range(KNOWN_KEYS) if keys >> key & 1},
            bool(schema_reserved),
            tuple(_section(*_take(numbers, 5)) for _ in range(sections)),
            tuple(Row(*_take(numbers, 4)) for _ in range(rows)),
            tuple(_cut(*_take(numbers, 5)) for _ in range(cuts)),
        )


def _take(numbers: Iterator[int], count: int) -> list[int]:
    return [next(numbers) for _ in range(count)]


def _section(op: int, opened: int, first: int, count: int, empty: int) -> Section:
    return Section(Key(op), opened, first, count, bool(empty))


def _cut(owner: int, of_row: int, stamp: int, start: int, end: int) -> Cut:
    return Cut(owner, bool(of_row), stamp, start, end)


def both_forms(headers: Path = EXT, flags: tuple[str, ...] = FLAGS) -> list[Scanner]:
    """Return the portable and the AVX2 scanner (the same where the processor has no AVX2)."""
    return [Scanner(portable=portable, headers=headers, flags=flags) for portable in (True, False)]
