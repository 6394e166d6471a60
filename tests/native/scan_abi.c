/* The scanner and the splicer behind a flat interface, for ctypes: numbers and buffers, no structs. */
#include "scan_all.h"

#define EXPORT __attribute__((visibility("default")))

/* Bytes behind each output window that splice_fill must leave alone. */
#define GUARD_BYTES 64
#define GUARD 0xA5

enum splice_report {
    SPLICED_ROOM = -1,      /* the caller's buffer is too small for what was written */
    SPLICED_STUCK = -2,     /* a call made no progress */
    SPLICED_OVERRUN = -3,   /* bytes behind the window were changed, or used is larger than it */
    SPLICED_REFERENCE = -4, /* a reference outside of the body, or an empty one */
    SPLICED_SIZE = -5,      /* splice_size told another size */
    SPLICED_NO_MEMORY = -6,
    SPLICED_CODE = -7,      /* an unknown return code */
};

/* How large the window of each call is, one after the other and round again. */
typedef struct {
    const uint32_t *caps;
    size_t count;
    size_t by_reference_min;
} windows;

EXPORT scan_plan *abi_scan(const uint8_t *body, size_t size, uint32_t overwrite, uint32_t rows_max,
                           uint32_t portable)
{
    scan_options options = {.overwrite = overwrite, .rows_max = rows_max, .portable = portable};
    scan_plan *plan = malloc(sizeof *plan);
    if (plan == NULL)
        return NULL;
    /* What the memory held before must not matter. */
    memset(plan, GUARD, sizeof *plan);
    int kind = scan_body(body, size, &options, plan);
    if (kind != (int)plan->fault.kind) {
        scan_release(plan);
        free(plan);
        return NULL;
    }
    return plan;
}

EXPORT void abi_release(scan_plan *plan)
{
    scan_release(plan);
    free(plan);
}

/* kind, offset, row, op, key_start, key_end. */
EXPORT void abi_fault(const scan_plan *plan, int64_t *out)
{
    out[0] = plan->fault.kind;
    out[1] = plan->fault.offset;
    out[2] = plan->fault.row;
    out[3] = plan->fault.op;
    out[4] = plan->fault.key_start;
    out[5] = plan->fault.key_end;
}

/* keys, schema_reserved, number of sections, of rows, of cuts. */
EXPORT void abi_counts(const scan_plan *plan, uint32_t *out)
{
    out[0] = plan->keys;
    out[1] = plan->schema_reserved;
    out[2] = plan->sections_count;
    out[3] = plan->rows_count;
    out[4] = plan->cuts_count;
}

/* Spans of all known keys (2 numbers each), sections (5), rows (4), cuts (5), one after the other. */
EXPORT void abi_contents(const scan_plan *plan, uint32_t *out)
{
    for (uint32_t i = 0; i < SCAN_KNOWN_KEYS; i++) {
        *out++ = plan->value_start[i];
        *out++ = plan->value_end[i];
    }
    for (uint32_t i = 0; i < plan->sections_count; i++) {
        const scan_section *section = &plan->sections[i];
        *out++ = section->op;
        *out++ = section->open;
        *out++ = section->first;
        *out++ = section->count;
        *out++ = section->empty;
    }
    for (uint32_t i = 0; i < plan->rows_count; i++) {
        const scan_row *row = &plan->rows[i];
        *out++ = row->start;
        *out++ = row->end;
        *out++ = row->id_start;
        *out++ = row->id_end;
    }
    for (uint32_t i = 0; i < plan->cuts_count; i++) {
        const scan_cut *cut = &plan->cuts[i];
        *out++ = cut->owner;
        *out++ = cut->of_row;
        *out++ = cut->stamp;
        *out++ = cut->start;
        *out++ = cut->end;
    }
}

static int guard_is_whole(const uint8_t *guard)
{
    for (int i = 0; i < GUARD_BYTES; i++)
        if (guard[i] != GUARD)
            return 0;
    return 1;
}

/* Collects the whole stamped body in out and returns its size, or a splice_report. */
static int64_t collect(splice_state *state, const uint8_t *body, size_t size, const windows *windows,
                       uint8_t *window, uint8_t *out, size_t room)
{
    size_t total = 0;
    for (size_t call = 0;; call++) {
        size_t cap = windows->caps[call % windows->count];
        size_t used = 0, start = 0, length = 0;
        memset(window + cap, GUARD, GUARD_BYTES);
        int code = splice_fill(state, window, cap, windows->by_reference_min, &used, &start, &length);
        if (used > cap || !guard_is_whole(window + cap))
            return SPLICED_OVERRUN;
        if (used > room - total)
            return SPLICED_ROOM;
        memcpy(out + total, window, used);
        total += used;
        if (code == SPLICE_DONE)
            return (int64_t)total;
        if (code == SPLICE_REFERENCE) {
            if (length == 0 || start > size || length > size - start)
                return SPLICED_REFERENCE;
            if (length > room - total)
                return SPLICED_ROOM;
            memcpy(out + total, body + start, length);
            total += length;
        } else if (code != SPLICE_FULL) {
            return SPLICED_CODE;
        } else if (used == 0) {
            return SPLICED_STUCK;
        }
    }
}

EXPORT int64_t abi_splice(const scan_plan *plan, const uint8_t *body, size_t size, int64_t now_ms,
                          uint32_t shard_count, int stamp_shard, const uint32_t *caps, size_t count,
                          size_t by_reference_min, uint8_t *out, size_t room)
{
    windows windows = {.caps = caps, .count = count, .by_reference_min = by_reference_min};
    size_t largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = caps[i] > largest ? caps[i] : largest;
    uint8_t *window = malloc(largest + GUARD_BYTES);
    if (window == NULL)
        return SPLICED_NO_MEMORY;
    splice_state state;
    memset(&state, GUARD, sizeof state);
    splice_begin(&state, body, size, plan, now_ms, shard_count, stamp_shard);
    uint64_t told = splice_size(&state);
    int64_t total = collect(&state, body, size, &windows, window, out, room);
    free(window);
    return total >= 0 && (uint64_t)total != told ? SPLICED_SIZE : total;
}

EXPORT uint64_t abi_xxh64(const uint8_t *data, size_t size)
{
    return xxh64(data, size);
}
