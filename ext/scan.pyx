"""The Python border of the scanner and the splicer: buffers in, plans and stamped pieces out."""

import json

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from chars cimport (
    SCAN_BODY_MAX,
    SCAN_DELETES,
    SCAN_KNOWN_KEYS,
    SCAN_NO_MEMORY,
    SCAN_PATCH_COLUMNS,
    SCAN_UPSERT_COLUMNS,
    SPLICE_ATOM_MAX,
    SPLICE_DONE,
    mirror_cursors,
    mirror_digests,
    mirror_next,
    mirror_open,
    mirror_order,
    mirror_row,
    scan_body,
    scan_cut,
    scan_has_avx2,
    scan_options,
    scan_plan,
    scan_release,
    scan_row,
    scan_section,
    splice_begin,
    splice_fill,
    splice_force_ids,
    splice_id_hash,
    splice_outcome,
    splice_size,
    splice_state,
)
from chars cimport xxh64 as _xxh64

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t newsize) except -1
    void _incref "Py_INCREF"(PyObject *o) noexcept
    void _decref "Py_DECREF"(PyObject *o) noexcept
    void _xdecref "Py_XDECREF"(PyObject *o) noexcept

# Bodies from this size on are scanned without the GIL: the scan takes several microseconds then,
# against which giving the GIL up and taking it back is nothing.
cdef Py_ssize_t GIL_FREE_BYTES_MIN = 64 * 1024

# Bytes of one step of a stamped body. 256-512 KiB measured best over plain TCP: the loop gets its
# turn every half millisecond and the per-step cost does not show.
STEP_BYTES = 256 * 1024
cdef size_t STEP = 256 * 1024

# A run of client bytes this long goes out by reference. Below, a copy into the step is cheaper than
# an object of its own and one more buffer of a gathering write.
REFERENCE_BYTES_MIN = 4096
cdef size_t REFERENCE_MIN = 4096

# One part of the mirrored rows: what is made in one go with the GIL held, less than a millisecond.
cdef Py_ssize_t PART_ROWS = 1000
cdef size_t PART_BYTES = 1024 * 1024

# Bytes of an id that a row is mirrored with, quotes left out. Turbopuffer takes 64.
cdef size_t ID_BYTES_MAX = 1024

# A run of copied bytes up to this size is copied once more, into an object of its own, so that the
# step's room is used again: between two large rows lies one stamp.
cdef size_t SHORT_RUN = 4096


class ScanError(Exception):
    """A body that is not JSON or not a write: kind, offset, row, operation, key span."""

    def __init__(self, int kind, offset, row, int op, key_start, key_end):
        super().__init__(kind, offset)
        self.kind = kind
        self.offset = offset
        self.row = row
        self.op = op
        self.key_start = key_start
        self.key_end = key_end


cdef class Plan:
    """The plan of one write body; holds the body's buffer until it is freed."""

    cdef scan_plan plan
    cdef Py_buffer view
    cdef object __weakref__

    def __dealloc__(self):
        scan_release(&self.plan)
        PyBuffer_Release(&self.view)

    @property
    def body(self):
        """The body the plan was made of."""
        return <object>self.view.obj

    @property
    def size(self):
        """Bytes of the body."""
        return self.view.len

    @property
    def keys(self):
        """One bit per known top-level key that is present."""
        return self.plan.keys

    @property
    def schema_reserved(self):
        """Whether `schema` names an attribute with the reserved prefix."""
        return self.plan.schema_reserved != 0

    @property
    def rows_count(self):
        """Rows and ids over all operations."""
        return self.plan.rows_count

    def value(self, unsigned int key):
        """The bytes of a known top-level key's value, or None if the key is absent."""
        if key >= SCAN_KNOWN_KEYS or not self.plan.keys >> key & 1:
            return None
        cdef const char *start = <const char *>self.view.buf + self.plan.value_start[key]
        return start[:self.plan.value_end[key] - self.plan.value_start[key]]

    def sections(self):
        """(operation, offset of its bracket, first row, row count, patch is empty) of each one."""
        cdef scan_section *s
        cdef list found = []
        cdef uint32_t i
        for i in range(self.plan.sections_count):
            s = &self.plan.sections[i]
            found.append((s.op, s.open, s.first, s.count, s.empty != 0))
        return found

    def rows(self):
        """(start, end, id start, id end) of each row: for tests, as it makes an object a row."""
        cdef scan_row *r
        cdef list found = []
        cdef uint32_t i
        for i in range(self.plan.rows_count):
            r = &self.plan.rows[i]
            found.append((r.start, r.end, r.id_start, r.id_end))
        return found

    def cuts(self):
        """(owner, owner is a row, stamp, start, end) of each stamp the client sent itself."""
        cdef scan_cut *c
        cdef list found = []
        cdef uint32_t i
        for i in range(self.plan.cuts_count):
            c = &self.plan.cuts[i]
            found.append((c.owner, c.of_row != 0, c.stamp, c.start, c.end))
        return found


def scan(body, bint overwrite, uint32_t rows_max, bint portable=False):
    """Make the plan of a write body (bytes, bytearray or any contiguous buffer).

    Raises: ScanError; ValueError for a body of 4 GiB or more; MemoryError.
    Cost: one pass; the GIL is given up for bodies over 64 KiB.
    """
    cdef Plan plan = Plan.__new__(Plan)
    cdef scan_options options
    cdef int kind
    PyObject_GetBuffer(body, &plan.view, PyBUF_SIMPLE)
    if <size_t>plan.view.len > <size_t>SCAN_BODY_MAX:
        raise ValueError("a body must be smaller than 4 GiB")
    options.overwrite = overwrite
    options.rows_max = rows_max
    options.portable = portable
    if plan.view.len >= GIL_FREE_BYTES_MIN:
        with nogil:
            kind = scan_body(<const uint8_t *>plan.view.buf, plan.view.len, &options, &plan.plan)
    else:
        kind = scan_body(<const uint8_t *>plan.view.buf, plan.view.len, &options, &plan.plan)
    if kind == 0:
        return plan
    if kind == SCAN_NO_MEMORY:
        raise MemoryError
    raise ScanError(kind, plan.plan.fault.offset, plan.plan.fault.row, plan.plan.fault.op,
                    plan.plan.fault.key_start, plan.plan.fault.key_end)


cdef class Stamped:
    """A stamped body, never whole in memory unless small: take it once, whole or step by step."""

    cdef Plan plan
    cdef splice_state state
    cdef object view
    cdef bint done
    cdef size_t ref_start, ref_size
    cdef PyObject *room
    cdef readonly object size

    def __init__(self, Plan plan not None, int64_t now_ms, uint32_t shard_count, bint stamp_shard,
                 bint force_ids=False):
        if now_ms < 0:
            raise ValueError("now_ms is negative")
        self.plan = plan
        splice_begin(&self.state, <const uint8_t *>plan.view.buf, plan.view.len, &plan.plan,
                     now_ms, shard_count, stamp_shard)
        if force_ids:
            splice_force_ids(&self.state)
        self.size = splice_size(&self.state)

    def __dealloc__(self):
        _xdecref(self.room)

    def whole(self):
        """The stamped body as one bytes object."""
        cdef size_t size = splice_size(&self.state), used = 0, ref_start, ref_size
        # The splicer asks for room for its longest atom before each one.
        cdef PyObject *out = _new_bytes(size + SPLICE_ATOM_MAX)
        if self.done:
            raise RuntimeError("this stamped body was taken already")
        self.done = True
        splice_fill(&self.state, <uint8_t *>PyBytes_AS_STRING(<object>out), size + SPLICE_ATOM_MAX,
                    <size_t>-1, &used, &ref_start, &ref_size)
        assert used == size
        return _cut_bytes(out, used)

    def __iter__(self):
        return self

    def __next__(self):
        """The next step: a list of buffers of about STEP_BYTES in all, in order."""
        cdef list step = []
        cdef size_t room = STEP
        if self.view is None:
            self.view = memoryview(<object>self.plan.view.obj)
        while self.ref_size and room or not self.done and room >= SPLICE_ATOM_MAX:
            room -= self.reference(step, room) if self.ref_size else self.copied(step, room)
        if not step:
            raise StopIteration
        return step

    cdef size_t reference(self, list step, size_t room):
        """Append client bytes as they lie in the body, as many as fit."""
        cdef size_t take = min(self.ref_size, room)
        step.append(self.view[self.ref_start:self.ref_start + take])
        self.ref_start += take
        self.ref_size -= take
        return take

    cdef size_t copied(self, list step, size_t room):
        """Append a copy of client bytes and stamps up to the next reference, or as many as fit."""
        cdef size_t used = 0
        cdef splice_outcome outcome
        if self.room is NULL:
            self.room = _new_bytes(STEP)
        cdef char *to = PyBytes_AS_STRING(<object>self.room)
        outcome = splice_fill(&self.state, <uint8_t *>to, room, REFERENCE_MIN, &used,
                              &self.ref_start, &self.ref_size)
        self.done = outcome == SPLICE_DONE
        if used <= SHORT_RUN:
            if used:
                step.append(PyBytes_FromStringAndSize(to, used))
        else:
            step.append(_cut_bytes(self.room, used))
            self.room = NULL
        return used


cdef class Mirror:
    """The rows of a planned body as the document cache keeps them: attributes with stamps.

    Iteration gives (operation, [(digest, id text, row), ...]) in parts of at most PART_ROWS rows
    and about PART_BYTES of body. Rows and ids come in the order of their digests (what is written
    in the order of its keys is written once), columns as they stand. `row` is None for an id of
    `deletes`, for a row over `row_bytes_max` or with an id that Turbopuffer would not take, and for
    one that cannot be mirrored. `given_bytes`
    is the size of the rows given so far, together.
    """

    cdef Plan plan
    cdef readonly size_t given_bytes
    cdef splice_state state
    cdef mirror_cursors cursors
    cdef uint8_t *room
    cdef size_t room_size, row_bytes_max
    cdef uint32_t section, in_section
    cdef uint64_t *order

    def __init__(self, Plan plan not None, int64_t now_ms, uint32_t shard_count, bint stamp_shard,
                 size_t row_bytes_max):
        self.plan = plan
        self.row_bytes_max = row_bytes_max
        splice_begin(&self.state, <const uint8_t *>plan.view.buf, plan.view.len, &plan.plan,
                     now_ms, shard_count, stamp_shard)

    def __dealloc__(self):
        free(self.room)
        free(self.cursors.items)
        free(self.order)

    def __iter__(self):
        return self

    def __next__(self):
        cdef scan_section *section
        while self.section < self.plan.plan.sections_count:
            section = &self.plan.plan.sections[self.section]
            if self.in_section < section.count:
                return section.op, self.part(section)
            self.section += 1
            self.in_section = 0
        raise StopIteration

    cdef list part(self, scan_section *section):
        cdef list rows = []
        cdef uint32_t index, hash_
        cdef size_t done = 0
        cdef bint columns = section.op == SCAN_UPSERT_COLUMNS or section.op == SCAN_PATCH_COLUMNS
        cdef char[4] digest
        if self.in_section == 0:
            self.open_section(section, columns)
        while self.in_section < section.count and len(rows) < PART_ROWS and done < PART_BYTES:
            index = section.first + self.in_section
            if columns:
                hash_ = <uint32_t>splice_id_hash(self.state.body, &self.plan.plan.rows[index])
            else:
                index = <uint32_t>self.order[self.in_section]
                hash_ = <uint32_t>(self.order[self.in_section] >> 32)
            self.in_section += 1
            digest = [<char>(hash_ >> 24), <char>(hash_ >> 16), <char>(hash_ >> 8), <char>hash_]
            rows.append((digest[:4], self.id_text(index), self.attributes(section, index, columns)))
            done += self.plan.plan.rows[index].end - self.plan.plan.rows[index].start
        return rows

    cdef int open_section(self, scan_section *section, bint columns) except -1:
        """Set cursors on columns; put rows and ids in the order of their digests."""
        cdef bint opened = True
        if columns:
            with nogil:
                opened = mirror_open(&self.state, section, &self.cursors)
        else:
            free(self.order)
            self.order = <uint64_t *>malloc(2 * section.count * sizeof(uint64_t))
            opened = self.order is not NULL
            if opened:
                with nogil:
                    mirror_order(&self.state, section.first, section.count, self.order)
        if not opened:
            raise MemoryError
        return 0

    cdef bytes id_text(self, uint32_t index):
        """An id's text as it is hashed: a string's with its escapes resolved."""
        cdef scan_row *row = &self.plan.plan.rows[index]
        cdef const char *start = <const char *>self.plan.view.buf + row.id_start
        cdef const char *end = <const char *>self.plan.view.buf + row.id_end
        if start[0] != b'"':
            return start[:end - start]
        if memchr(start, b"\\", end - start) is not NULL:
            return json.loads(start[:end - start]).encode("utf-8", "surrogatepass")
        return start[1:end - start - 1]

    cdef object attributes(self, scan_section *section, uint32_t index, bint columns):
        cdef scan_row *from_ = &self.plan.plan.rows[index]
        cdef mirror_row row
        # A row of columns is no longer than the body; memory that is not written to is not there.
        cdef size_t size = self.plan.view.len if columns else from_.end - from_.start
        cdef size_t need = size + SPLICE_ATOM_MAX
        if section.op == SCAN_DELETES or from_.id_end - from_.id_start > ID_BYTES_MAX + 2:
            return None
        if need > self.room_size:
            free(self.room)
            self.room_size = 0
            self.room = <uint8_t *>malloc(need * (1 if columns else 2))
            if self.room is NULL:
                raise MemoryError
            self.room_size = need * (1 if columns else 2)
        row.out = self.room
        if not mirror_next(&self.state, section, index, &self.cursors, &row):
            return None
        if row.size > self.row_bytes_max:
            return None
        self.given_bytes += row.size
        return PyBytes_FromStringAndSize(<char *>row.out, row.size)


def digests(Plan plan not None):
    """The sorted digests of a plan's ids, each once, packed as 32-bit little-endian numbers."""
    cdef splice_state state
    cdef uint32_t count = plan.plan.rows_count
    cdef uint64_t *out = <uint64_t *>malloc(2 * (count + 1) * sizeof(uint64_t))
    if out is NULL:
        raise MemoryError
    splice_begin(&state, <const uint8_t *>plan.view.buf, plan.view.len, &plan.plan, 0, 0, False)
    with nogil:
        count = mirror_digests(&state, out)
    try:
        return PyBytes_FromStringAndSize(<char *>out, count * sizeof(uint32_t))
    finally:
        free(out)


cdef PyObject *_new_bytes(size_t size) except NULL:
    """A bytes object of unset content; the caller fills it before anyone sees it."""
    cdef object out = PyBytes_FromStringAndSize(NULL, size)
    cdef PyObject *raw = <PyObject *>out
    _incref(raw)
    return raw


cdef object _cut_bytes(PyObject *out, size_t size):
    """Shorten a fresh bytes object in place and hand it over."""
    _PyBytes_Resize(&out, size)
    cdef object cut = <object>out
    _decref(out)
    return cut


def xxh64(const uint8_t[::1] data not None):
    """xxh64 of the data with seed 0 (tests)."""
    cdef uint64_t hash_
    hash_ = _xxh64(&data[0] if data.shape[0] else NULL, data.shape[0])
    return hash_


def has_avx2():
    """Whether the AVX2 form runs on this processor."""
    return scan_has_avx2() != 0
