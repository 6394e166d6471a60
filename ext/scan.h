/* The plan of a write body: its types, and the scanner chosen for this processor.
 *
 * README.md beside this file is the specification. Plain C, no Python.h: the border is scan.pyx. */
#ifndef HEVFAST_SCAN_H
#define HEVFAST_SCAN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Deepest nesting a body may have; the outermost object is level 1. The walk keeps one bit a level. */
#define SCAN_DEPTH_MAX 512

/* Rows are packed with 32-bit offsets: a body is smaller than 4 GiB. */
#define SCAN_BODY_MAX 0xFFFFFFFFu

enum scan_kind {
    SCAN_OK = 0,
    /* Not JSON. */
    SCAN_END = 1,
    SCAN_BAD_BYTE = 2,
    SCAN_BAD_LITERAL = 3,
    SCAN_BAD_NUMBER = 4,
    SCAN_BAD_ESCAPE = 5,
    SCAN_CONTROL = 6,
    SCAN_BAD_UTF8 = 7,
    SCAN_TOO_DEEP = 8,
    /* JSON, but not a write this gateway forwards. */
    SCAN_EMPTY = 16,
    SCAN_NOT_OBJECT = 17,
    SCAN_REMOVED_KEY = 18,
    SCAN_DUPLICATE_KEY = 19,
    SCAN_OPERATION_TYPE = 20,
    SCAN_NO_OPERATION = 21,
    SCAN_ROW_TYPE = 22,
    SCAN_RESERVED_ATTRIBUTE = 23,
    SCAN_BLOBS = 24,
    SCAN_VECTOR_IN_PATCH = 25,
    SCAN_ID_TYPE = 26,
    SCAN_RESERVED_ID = 27,
    SCAN_VECTOR_SHAPE = 28,
    SCAN_ROW_WITHOUT_ID = 29,
    SCAN_COLUMN_TYPE = 30,
    SCAN_COLUMNS_WITHOUT_ID = 31,
    SCAN_ID_COLUMN_EMPTY = 32,
    SCAN_COLUMN_LENGTH = 33,
    SCAN_PATCH_TYPE = 34,
    SCAN_PATCH_MISSING = 35,
    SCAN_TOO_MANY_ROWS = 36,
    /* Ours. */
    SCAN_NO_MEMORY = 64,
};

/* Known top-level keys. The first seven are the row operations, those up to SCAN_KEY_SCHEMA are recognised
 * operations, the rest are modifiers, and the last two were removed from the API. */
enum scan_key {
    SCAN_UPSERT_ROWS,
    SCAN_UPSERT_COLUMNS,
    SCAN_PATCH_ROWS,
    SCAN_PATCH_COLUMNS,
    SCAN_DELETES,
    SCAN_DELETE_BY_FILTER,
    SCAN_PATCH_BY_FILTER,
    SCAN_COPY_FROM_NAMESPACE,
    SCAN_BRANCH_FROM_NAMESPACE,
    SCAN_CREATE_NAMESPACE,
    SCAN_SCHEMA,
    SCAN_DISTANCE_METRIC,
    SCAN_UPSERT_CONDITION,
    SCAN_PATCH_CONDITION,
    SCAN_DELETE_CONDITION,
    SCAN_DELETE_BY_FILTER_ALLOW_PARTIAL,
    SCAN_PATCH_BY_FILTER_ALLOW_PARTIAL,
    SCAN_RETURN_AFFECTED_IDS,
    SCAN_DISABLE_BACKPRESSURE,
    SCAN_ENCRYPTION,
    SCAN_SHARDING,
    SCAN_KNOWN_KEYS,
    SCAN_REMOVED_UPSERTS = SCAN_KNOWN_KEYS,
    SCAN_REMOVED_PATCHES,
    SCAN_KEY_UNKNOWN,
};

#define SCAN_ROW_OPERATIONS 7
#define SCAN_RECOGNISED ((1u << (SCAN_SCHEMA + 1)) - 1)

/* One row, or one id of a columns form or of `deletes` (start and end are 0 there). */
typedef struct {
    uint32_t start, end, id_start, id_end;
} scan_row;

typedef struct {
    uint32_t op;          /* enum scan_key, one of the seven row operations */
    uint32_t open;        /* offset of the opening bracket; patch_by_filter: of the patch object's brace */
    uint32_t first;       /* index of its first row in rows */
    uint32_t count;       /* how many rows */
    uint32_t empty;       /* patch_by_filter: the patch object has no member */
} scan_section;

enum scan_stamp { SCAN_STAMP_TIME = 0, SCAN_STAMP_SHARD = 1 };

/* The value of a stamp that the client sent itself (overwrite mode only). */
typedef struct {
    uint32_t owner;       /* rows forms: index in rows; columns forms and patch: index in sections */
    uint32_t of_row;      /* 1: owner is a row */
    uint32_t stamp;       /* enum scan_stamp */
    uint32_t start, end;  /* span of the value */
} scan_cut;

typedef struct {
    uint32_t kind;        /* enum scan_kind */
    uint32_t offset;
    int64_t row;          /* index inside its operation, -1: not about a row */
    uint32_t op;          /* enum scan_key; SCAN_KEY_UNKNOWN: none */
    uint32_t key_start, key_end;
} scan_fault;

typedef struct {
    uint32_t keys;        /* bit per known key */
    uint32_t schema_reserved;
    uint32_t value_start[SCAN_KNOWN_KEYS], value_end[SCAN_KNOWN_KEYS];
    uint32_t sections_count;
    scan_section sections[SCAN_ROW_OPERATIONS];
    scan_row *rows;
    uint32_t rows_count, rows_room;
    scan_cut *cuts;
    uint32_t cuts_count, cuts_room;
    scan_fault fault;
} scan_plan;

typedef struct {
    uint32_t overwrite;   /* 1: the client's own stamps are replaced, 0: they are a fault */
    uint32_t rows_max;
    uint32_t portable;    /* 1: do not use AVX2 even where the processor has it (tests, benches) */
} scan_options;

#endif
