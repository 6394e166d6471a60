/* The row being mirrored, the cursors over columns, and the digests of ids: what no instruction set changes. */
#ifndef HEVFAST_MIRROR_ROW_H
#define HEVFAST_MIRROR_ROW_H

#include "splice.h"
#include "walk_rules.h"

/* A row's attributes on their way into the cache. `out` has room for all client bytes of a row and both stamps. */
typedef struct {
    uint8_t *out;
    size_t size;
} mirror_row;

typedef struct {
    walk_key key;
    const uint8_t *at;
} mirror_cursor;

typedef struct {
    mirror_cursor *items;
    uint32_t count, room;
} mirror_cursors;

static void mirror_bytes(mirror_row *row, const void *bytes, size_t size) {
    memcpy(row->out + row->size, bytes, size);
    row->size += size;
}

/* Appends `"key":value` with the client's spelling of both. */
static void mirror_append(mirror_row *row, const walk_key *key, const uint8_t *value, const uint8_t *end) {
    row->out[row->size] = row->size ? ',' : '{';
    row->size++;
    mirror_bytes(row, key->start - 1, (size_t)(key->end - key->start) + 2);
    row->out[row->size++] = ':';
    mirror_bytes(row, value, (size_t)(end - value));
}

/* Writes the rows first.. of a plan in the order of their ids' digests, the low 32 bits of xxh64: the digest in the
 * high half of each number, the row's index in the low one. `out` has room for two runs of count; the result is in
 * the first. */
static void mirror_order(const splice_state *s, uint32_t first, uint32_t count, uint64_t *out) {
    uint64_t *from = out, *to = out + count;
    for (uint32_t i = 0; i < count; i++)
        from[i] = splice_id_hash(s->body, &s->plan->rows[first + i]) << 32 | (first + i);
    /* Four passes of eight bits end in the run they began in. */
    for (int shift = 32; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        uint64_t *swap = from;
        for (uint32_t i = 0; i < count; i++) starts[(from[i] >> shift & 0xFF) + 1]++;
        for (int i = 0; i < 256; i++) starts[i + 1] += starts[i];
        for (uint32_t i = 0; i < count; i++) to[starts[from[i] >> shift & 0xFF]++] = from[i];
        from = to;
        to = swap;
    }
}

/* Writes the sorted digests of all ids of a plan, each once, over `order`. Returns how many there are. */
static uint32_t mirror_digests(const splice_state *s, uint64_t *order) {
    uint32_t count = s->plan->rows_count, kept = 0, *out = (uint32_t *)(void *)order;
    mirror_order(s, 0, count, order);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t digest = (uint32_t)(order[i] >> 32);
        if (!kept || out[kept - 1] != digest) out[kept++] = digest;
    }
    return kept;
}

/* Closes the row with its stamps. */
static void mirror_close(mirror_row *row, const splice_state *s, uint32_t index) {
    row->out[row->size] = row->size ? ',' : '{';
    row->size++;
    mirror_bytes(row, SPLICE_TIME_KEY, SPLICE_TIME_KEY_SIZE);
    mirror_bytes(row, s->time, s->time_size);
    if (s->stamp_shard) {
        mirror_bytes(row, "," SPLICE_SHARD_KEY, SPLICE_SHARD_KEY_SIZE + 1);
        row->size += splice_write_shard(s, index, row->out + row->size);
    }
    row->out[row->size++] = '}';
}

static int mirror_add_cursor(mirror_cursors *cursors, const walk_key *key, const uint8_t *at) {
    if (cursors->count == cursors->room) {
        uint32_t room = cursors->room ? cursors->room * 2 : 16;
        mirror_cursor *grown = realloc(cursors->items, room * sizeof *grown);
        if (!grown) return 0;
        cursors->items = grown;
        cursors->room = room;
    }
    cursors->items[cursors->count].key = *key;
    cursors->items[cursors->count++].at = at;
    return 1;
}

#endif
