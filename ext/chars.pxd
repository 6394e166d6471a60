"""Declarations of the plain C headers; what they mean is in README.md beside this file."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "scan_all.h" nogil:
    enum:
        SCAN_KNOWN_KEYS
        SCAN_NO_MEMORY
        SCAN_UPSERT_COLUMNS
        SCAN_PATCH_COLUMNS
        SCAN_DELETES
        SCAN_BODY_MAX
        SPLICE_ATOM_MAX

    ctypedef struct scan_row:
        uint32_t start, end, id_start, id_end

    ctypedef struct scan_section:
        uint32_t op, open, first, count, empty

    ctypedef struct scan_cut:
        uint32_t owner, of_row, stamp, start, end

    ctypedef struct scan_fault:
        uint32_t kind, offset
        int64_t row
        uint32_t op, key_start, key_end

    ctypedef struct scan_plan:
        uint32_t keys, schema_reserved
        uint32_t value_start[SCAN_KNOWN_KEYS]
        uint32_t value_end[SCAN_KNOWN_KEYS]
        uint32_t sections_count
        scan_section sections[7]
        scan_row *rows
        uint32_t rows_count
        scan_cut *cuts
        uint32_t cuts_count
        scan_fault fault

    ctypedef struct scan_options:
        uint32_t overwrite, rows_max, portable

    int scan_has_avx2() noexcept
    int scan_body(const uint8_t *body, size_t size, const scan_options *options,
                  scan_plan *plan) noexcept
    void scan_release(scan_plan *plan) noexcept

    ctypedef struct splice_state:
        const uint8_t *body

    enum splice_outcome:
        SPLICE_FULL
        SPLICE_REFERENCE
        SPLICE_DONE

    void splice_begin(splice_state *s, const uint8_t *body, size_t size, const scan_plan *plan,
                      int64_t now_ms, uint32_t shard_count, int stamp_shard) noexcept
    void splice_force_ids(splice_state *s) noexcept
    uint64_t splice_size(const splice_state *s) noexcept
    splice_outcome splice_fill(splice_state *s, uint8_t *out, size_t cap, size_t by_reference_min,
                               size_t *used, size_t *ref_start, size_t *ref_size) noexcept

    ctypedef struct mirror_row:
        uint8_t *out
        size_t size

    ctypedef struct mirror_cursors:
        void *items

    int mirror_open(const splice_state *s, const scan_section *section,
                    mirror_cursors *cursors) noexcept
    int mirror_next(const splice_state *s, const scan_section *section, uint32_t index,
                    mirror_cursors *cursors, mirror_row *row) noexcept
    void mirror_order(const splice_state *s, uint32_t first, uint32_t count, uint64_t *out) noexcept
    uint32_t mirror_digests(const splice_state *s, uint64_t *order) noexcept

    uint64_t splice_id_hash(const uint8_t *body, const scan_row *row) noexcept
    uint64_t xxh64(const uint8_t *p, size_t size) noexcept
