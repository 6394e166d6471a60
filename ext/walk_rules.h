/* What the walk knows of keys, ids and values, and how it records faults: the part that no instruction set changes. */
#ifndef HEVFAST_WALK_RULES_H
#define HEVFAST_WALK_RULES_H

#include "chars.h"
#include "scan.h"

/* Rows of one batch nearly always name the same attributes in the same order. A memo keeps how the n-th key of an
 * earlier row was spelled, from its opening quote to its colon, and what it means; where the same bytes come again
 * they need not be read again. That takes a key's length off the chain of loads the walk waits for, and is worth 1.6x
 * on small rows. Longer keys than WALK_MEMO_BYTES and those after the WALK_MEMOS-th are read as usual. */
#define WALK_MEMOS 32
#define WALK_MEMO_BYTES 32

typedef struct {
    const uint8_t *at;
    uint32_t size, attribute;
} walk_memo;

typedef struct {
    const uint8_t *body, *end;
    scan_plan *plan;
    const scan_options *options;
    uint32_t op; /* the top-level key whose value is being read */
    int64_t row; /* the row being read, -1: none */
    uint32_t memos_count;
    walk_memo memos[WALK_MEMOS];
} walk;

/* A key, or an id that is a string: the bytes between its quotes, and whether one of them is a backslash. */
typedef struct {
    const uint8_t *start, *end;
    int escaped;
} walk_key;

/* What a value is made of: its own type for a scalar, the types of its direct elements for an array. */
enum { WALK_NUMBER = 1, WALK_STRING = 2, WALK_ARRAY = 4, WALK_OBJECT = 8, WALK_BOOLEAN = 16, WALK_NULL = 32 };

typedef struct {
    uint32_t types, count;
    uint8_t container; /* '[' or '{'; 0: a scalar */
} walk_shape;

typedef struct {
    uint32_t ids_at;                      /* the id column's bracket; 0: none yet */
    uint32_t first_at, first_count;       /* the first column of all */
    uint32_t seen, odd_at;                /* columns so far; the first one unlike the first, 0: none */
} walk_columns;

enum walk_attribute { WALK_PLAIN, WALK_ID, WALK_VECTOR, WALK_VECTORS, WALK_BLOBS, WALK_TIME, WALK_SHARD, WALK_RESERVED };

/* Faults */

static const uint8_t *walk_fault(walk *w, enum scan_kind kind, const uint8_t *at) {
    scan_fault *fault = &w->plan->fault;
    fault->kind = kind;
    fault->offset = (uint32_t)(at - w->body);
    if (kind >= SCAN_EMPTY) {
        fault->op = w->op;
        fault->row = w->row;
    }
    return NULL;
}

static const uint8_t *walk_end(walk *w) { return walk_fault(w, SCAN_END, w->end); }

static const uint8_t *walk_key_fault(walk *w, enum scan_kind kind, const walk_key *key) {
    w->plan->fault.key_start = (uint32_t)(key->start - w->body);
    w->plan->fault.key_end = (uint32_t)(key->end - w->body);
    return walk_fault(w, kind, key->start - 1);
}

/* A value that must be of another type; or no value at all. */
static const uint8_t *walk_wrong_type(walk *w, enum scan_kind kind, const uint8_t *at) {
    return walk_fault(w, CHAR_CLASS[*at] & CHAR_STARTS_VALUE ? kind : SCAN_BAD_BYTE, at);
}

/* Tokens off the fast path */

static const uint8_t *walk_literal(walk *w, const uint8_t *p) {
    size_t left = (size_t)(w->end - p);
    if (left >= 4 && memcmp(p, "true", 4) == 0) return p + 4;
    if (left >= 4 && memcmp(p, "null", 4) == 0) return p + 4;
    if (left >= 5 && memcmp(p, "false", 5) == 0) return p + 5;
    return walk_fault(w, *p == 't' || *p == 'f' || *p == 'n' ? SCAN_BAD_LITERAL : SCAN_BAD_BYTE, p);
}

static int walk_digit(const uint8_t *p, const uint8_t *end) { return p < end && *p >= '0' && *p <= '9'; }

/* A number outside arrays: the longest run of number bytes must be one number by RFC 8259. */
static const uint8_t *walk_number(walk *w, const uint8_t *start) {
    const uint8_t *p = start, *end = start;
    while (end < w->end && CHAR_CLASS[*end] & CHAR_NUMBER) end++;
    if (*p == '-') p++;
    if (!walk_digit(p, end)) return walk_fault(w, SCAN_BAD_NUMBER, start);
    if (*p++ != '0')
        while (walk_digit(p, end)) p++;
    if (p < end && *p == '.') {
        if (!walk_digit(++p, end)) return walk_fault(w, SCAN_BAD_NUMBER, start);
        while (walk_digit(p, end)) p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!walk_digit(p, end)) return walk_fault(w, SCAN_BAD_NUMBER, start);
        while (walk_digit(p, end)) p++;
    }
    return p == end ? p : walk_fault(w, SCAN_BAD_NUMBER, start);
}

static int walk_hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Checks the escape whose backslash is at p. */
static const uint8_t *walk_escape(walk *w, const uint8_t *p) {
    const uint8_t *backslash = p++;
    if (p == w->end) return walk_end(w);
    switch (*p++) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': return p;
    case 'u':
        for (int i = 0; i < 4; i++, p++) {
            if (p == w->end) return walk_end(w);
            if (walk_hex(*p) < 0) return walk_fault(w, SCAN_BAD_ESCAPE, backslash);
        }
        return p;
    default: return walk_fault(w, SCAN_BAD_ESCAPE, backslash);
    }
}

/* Checks the run of non-ASCII bytes at p against Unicode's table 3-7 of well-formed sequences. */
static const uint8_t *walk_utf8(walk *w, const uint8_t *p) {
    while (p < w->end && *p >= 0x80) {
        uint8_t lead = *p, low = 0x80, high = 0xBF;
        int more;
        if (lead < 0xC2 || lead > 0xF4) return walk_fault(w, SCAN_BAD_UTF8, p);
        more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
        if (w->end - p <= more || p[1] < low || p[1] > high) return walk_fault(w, SCAN_BAD_UTF8, p);
        for (int i = 2; i <= more; i++)
            if ((p[i] & 0xC0) != 0x80) return walk_fault(w, SCAN_BAD_UTF8, p);
        p += more + 1;
    }
    return p;
}

/* Keys */

/* Longest name that keys are compared with, and room to see that a key is longer. */
#define WALK_NAME_MAX 40

/* Resolves the escapes at the front of a key that the walk has checked. Bytes that no name holds (all that is not
 * ASCII) need only differ from every name's. Returns the size, WALK_NAME_MAX if there may be more. */
static size_t walk_unescape(const walk_key *key, uint8_t *name) {
    size_t size = 0;
    for (const uint8_t *p = key->start; p < key->end && size < WALK_NAME_MAX; size++) {
        if (*p != '\\') {
            name[size] = *p++;
        } else if (p[1] == 'u') {
            int code = walk_hex(p[2]) << 12 | walk_hex(p[3]) << 8 | walk_hex(p[4]) << 4 | walk_hex(p[5]);
            name[size] = code < 0x80 ? (uint8_t)code : 0xFF;
            p += 6;
        } else {
            /* No name holds a control, a quote, a slash or a backslash: the letter n of \n must not pass for one. */
            name[size] = 0xFF;
            p += 2;
        }
    }
    return size;
}

/* Points *name at the key's text with its escapes resolved; `room` holds it if there are any. */
static inline size_t walk_name(const walk_key *key, const uint8_t **name, uint8_t *room) {
    *name = key->start;
    if (!key->escaped) return (size_t)(key->end - key->start);
    *name = room;
    return walk_unescape(key, room);
}

static int walk_key_is(const walk_key *key, const char *want) {
    uint8_t room[WALK_NAME_MAX];
    const uint8_t *name;
    size_t size = walk_name(key, &name, room);
    return size == strlen(want) && memcmp(name, want, size) == 0;
}

#define WALK_RESERVED_PREFIX "_hevlayer_"
#define WALK_RESERVED_ID "_hevlayer:"

/* What a key at row level is to the gateway. WALK_TIME and above begin with the reserved prefix. */
static inline enum walk_attribute walk_attribute_of(const walk_key *key) {
    uint8_t room[WALK_NAME_MAX];
    const uint8_t *name;
    size_t size = walk_name(key, &name, room);
    switch (size) {
    case 2: return memcmp(name, "id", 2) == 0 ? WALK_ID : WALK_PLAIN;
    case 5: return memcmp(name, "blobs", 5) == 0 ? WALK_BLOBS : WALK_PLAIN;
    case 6: return memcmp(name, "vector", 6) == 0 ? WALK_VECTOR : WALK_PLAIN;
    case 7: return memcmp(name, "vectors", 7) == 0 ? WALK_VECTORS : WALK_PLAIN;
    }
    if (size < 10 || memcmp(name, WALK_RESERVED_PREFIX, 10) != 0) return WALK_PLAIN;
    if (size == 21 && memcmp(name + 10, "upserted_at", 11) == 0) return WALK_TIME;
    if (size == 15 && memcmp(name + 10, "shard", 5) == 0) return WALK_SHARD;
    return WALK_RESERVED;
}

static int walk_reserved_id(const walk_key *id) {
    uint8_t room[WALK_NAME_MAX];
    const uint8_t *name;
    size_t size = walk_name(id, &name, room);
    return size >= 10 && memcmp(name, WALK_RESERVED_ID, 10) == 0;
}

/* In the order of enum scan_key. */
static const char *const WALK_KNOWN[] = {
    "upsert_rows", "upsert_columns", "patch_rows", "patch_columns", "deletes", "delete_by_filter", "patch_by_filter",
    "copy_from_namespace", "branch_from_namespace", "create_namespace", "schema", "distance_metric",
    "upsert_condition", "patch_condition", "delete_condition", "delete_by_filter_allow_partial",
    "patch_by_filter_allow_partial", "return_affected_ids", "disable_backpressure", "encryption", "sharding",
    "upserts", "patches",
};

static uint32_t walk_known_key(const walk_key *key) {
    uint8_t room[WALK_NAME_MAX];
    const uint8_t *name;
    size_t size = walk_name(key, &name, room);
    for (uint32_t i = 0; i < SCAN_KEY_UNKNOWN; i++)
        if (strlen(WALK_KNOWN[i]) == size && memcmp(WALK_KNOWN[i], name, size) == 0) return i;
    return SCAN_KEY_UNKNOWN;
}

static int walk_key_allowed(walk *w, uint32_t known, const walk_key *key) {
    enum scan_kind kind = SCAN_OK;
    if (known == SCAN_REMOVED_UPSERTS || known == SCAN_REMOVED_PATCHES)
        kind = SCAN_REMOVED_KEY;
    else if (known < SCAN_KNOWN_KEYS && w->plan->keys >> known & 1)
        kind = SCAN_DUPLICATE_KEY;
    if (kind) walk_key_fault(w, kind, key);
    if (known < SCAN_KNOWN_KEYS) w->plan->keys |= 1u << known;
    return !kind;
}

/* Attributes of rows, columns and patches */

static int walk_is_upsert(const walk *w) { return w->op == SCAN_UPSERT_ROWS || w->op == SCAN_UPSERT_COLUMNS; }

/* Whether a key may stand at row level here. *stamps collects the client's own stamps in overwrite mode. */
static int walk_attribute_allowed(walk *w, enum walk_attribute attribute, const walk_key *key, uint32_t id_seen,
                                  uint32_t *stamps) {
    enum scan_kind kind = SCAN_OK;
    switch (attribute) {
    case WALK_PLAIN: break;
    case WALK_ID: kind = id_seen ? SCAN_DUPLICATE_KEY : SCAN_OK; break;
    case WALK_BLOBS: kind = walk_is_upsert(w) ? SCAN_BLOBS : SCAN_OK; break;
    case WALK_VECTOR:
    case WALK_VECTORS: kind = walk_is_upsert(w) ? SCAN_OK : SCAN_VECTOR_IN_PATCH; break;
    case WALK_RESERVED: kind = SCAN_RESERVED_ATTRIBUTE; break;
    case WALK_TIME:
    case WALK_SHARD:
        /* A patch by filter has no ids, so no shard could replace the client's. */
        if (!w->options->overwrite || (attribute == WALK_SHARD && w->op == SCAN_PATCH_BY_FILTER))
            kind = SCAN_RESERVED_ATTRIBUTE;
        else if (*stamps >> attribute & 1)
            kind = SCAN_DUPLICATE_KEY;
        *stamps |= 1u << attribute;
    }
    if (kind) walk_key_fault(w, kind, key);
    return !kind;
}

static int walk_grow(walk *w, void **items, uint32_t *room, size_t size, uint32_t first) {
    uint32_t want = *room ? *room * 2 : first;
    void *grown = realloc(*items, want * size);
    if (!grown) {
        walk_fault(w, SCAN_NO_MEMORY, w->body);
        return 0;
    }
    *items = grown;
    *room = want;
    return 1;
}

/* Keeps the n-th key of a row, whose colon was found at `colon`, for the rows after it. */
static inline void walk_remember(walk *w, uint32_t nth, const walk_key *key, const uint8_t *colon,
                                 enum walk_attribute attribute) {
    const uint8_t *at = key->start - 1;
    /* With white space before the colon the spelling would not be one run. The client's own stamps are checked
     * against each other each time. */
    if (nth >= WALK_MEMOS || colon != key->end + 1 || colon - at >= WALK_MEMO_BYTES || attribute >= WALK_TIME) return;
    /* Memos are kept without holes; the latest spelling of a place wins. */
    if (nth > w->memos_count) return;
    if (nth == w->memos_count) w->memos_count++;
    w->memos[nth].at = at;
    w->memos[nth].size = (uint32_t)(colon + 1 - at);
    w->memos[nth].attribute = attribute;
}

/* Makes room for the row or id that starts at p. */
static inline int walk_room(walk *w, const uint8_t *p) {
    scan_plan *plan = w->plan;
    if (!(CHAR_CLASS[*p] & (CHAR_STARTS_VALUE | CHAR_NUMBER))) {
        walk_fault(w, SCAN_BAD_BYTE, p);
        return 0;
    }
    if (plan->rows_count >= w->options->rows_max) {
        walk_fault(w, SCAN_TOO_MANY_ROWS, p);
        return 0;
    }
    if (plan->rows_count < plan->rows_room) return 1;
    return walk_grow(w, (void **)&plan->rows, &plan->rows_room, sizeof *plan->rows, 16);
}

/* Checks a vector's shape, or keeps the span of a client's own stamp. owner is its row or section. */
static int walk_attribute_ends(walk *w, enum walk_attribute attribute, const walk_shape *shape, const uint8_t *value,
                               const uint8_t *end, uint32_t owner, int of_row) {
    scan_plan *plan = w->plan;
    if (attribute == WALK_VECTOR || attribute == WALK_VECTORS) {
        uint32_t elements = WALK_STRING | WALK_ARRAY | (attribute == WALK_VECTOR ? WALK_NUMBER : 0u);
        int is_array = shape->container == '[' && shape->count && !(shape->types & ~elements);
        int is_scalar = attribute == WALK_VECTOR && !shape->container &&
                        (shape->types == WALK_NULL || (shape->types == WALK_STRING && shape->count));
        if (is_array || is_scalar) return 1;
        walk_fault(w, SCAN_VECTOR_SHAPE, value);
        return 0;
    }
    if (attribute != WALK_TIME && attribute != WALK_SHARD) return 1;
    if (plan->cuts_count == plan->cuts_room &&
        !walk_grow(w, (void **)&plan->cuts, &plan->cuts_room, sizeof *plan->cuts, 16))
        return 0;
    scan_cut *cut = &plan->cuts[plan->cuts_count++];
    cut->owner = owner;
    cut->of_row = (uint32_t)of_row;
    cut->stamp = attribute == WALK_TIME ? SCAN_STAMP_TIME : SCAN_STAMP_SHARD;
    cut->start = (uint32_t)(value - w->body);
    cut->end = (uint32_t)(end - w->body);
    return 1;
}

static int walk_column_shape(walk *w, enum walk_attribute attribute, const walk_shape *shape, uint32_t at) {
    uint32_t wrong = WALK_BOOLEAN | WALK_OBJECT | (attribute == WALK_VECTOR ? WALK_NUMBER : 0u);
    if ((attribute != WALK_VECTOR && attribute != WALK_VECTORS) || !walk_is_upsert(w) || !(shape->types & wrong)) return 1;
    walk_fault(w, SCAN_VECTOR_SHAPE, w->body + at);
    return 0;
}

/* All columns must be as long as the id column, which may come last: it is enough to know the first column and the
 * first one that differs from it. */
static void walk_count_column(walk_columns *columns, uint32_t at, uint32_t count) {
    if (!columns->seen++) {
        columns->first_at = at;
        columns->first_count = count;
    } else if (count != columns->first_count && !columns->odd_at) {
        columns->odd_at = at;
    }
}

static int walk_columns_end(walk *w, const walk_columns *columns, const scan_section *section, const uint8_t *start) {
    if (!columns->ids_at)
        walk_fault(w, SCAN_COLUMNS_WITHOUT_ID, start);
    else if (!section->count)
        walk_fault(w, SCAN_ID_COLUMN_EMPTY, w->body + columns->ids_at);
    else if (columns->first_count != section->count)
        walk_fault(w, SCAN_COLUMN_LENGTH, w->body + columns->first_at);
    else if (columns->odd_at)
        walk_fault(w, SCAN_COLUMN_LENGTH, w->body + columns->odd_at);
    else
        return 1;
    return 0;
}

/* Opens the section of the operation at hand. There is room: no operation's key comes twice. */
static scan_section *walk_section(walk *w, const uint8_t *open) {
    scan_section *section = &w->plan->sections[w->plan->sections_count++];
    section->op = w->op;
    section->open = (uint32_t)(open - w->body);
    section->first = w->plan->rows_count;
    section->count = 0;
    section->empty = 0;
    return section;
}

#endif
