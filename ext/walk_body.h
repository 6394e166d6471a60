/* What the walk makes of a write body: rows, columns, patches, and the body around them. Compiled once for each
 * instruction set, after walk.h and with the same names. */

/* Rows */

/* Reads an id, a string or a number; `in_array` says where it stands, for a number's exactness. */
static inline const uint8_t *WALK(id)(walk *w, const uint8_t *p, scan_row *row, int in_array) {
    const uint8_t *start = p;
    if (*p == '"') {
        walk_key id = {p + 1, NULL, 0};
        p = WALK(string)(w, p, &id.escaped);
        if (!p) return NULL;
        id.end = p - 1;
        if (walk_reserved_id(&id)) return walk_fault(w, SCAN_RESERVED_ID, start);
    } else if (in_array && CHAR_CLASS[*p] & CHAR_NUMBER) {
        do p++;
        while (p < w->end && CHAR_CLASS[*p] & CHAR_NUMBER);
    } else if (CHAR_CLASS[*p] & CHAR_NUMBER && CHAR_CLASS[*p] & CHAR_STARTS_VALUE) {
        p = WALK(number)(w, p);
        if (!p) return NULL;
    } else {
        return walk_wrong_type(w, SCAN_ID_TYPE, p);
    }
    row->id_start = (uint32_t)(start - w->body);
    row->id_end = (uint32_t)(p - w->body);
    return p;
}

/* Reads the n-th key of a row and its colon, checks it, and returns the first byte of its value. */
static inline const uint8_t *WALK(row_key)(walk *w, const uint8_t *p, uint32_t nth, const scan_row *row,
                                           uint32_t *stamps, enum walk_attribute *attribute) {
    walk_key key;
    if (nth < w->memos_count) {
        const walk_memo *memo = &w->memos[nth];
        int again = memo->attribute == WALK_ID && row->id_end;
        if (!again && SAME(p, memo->at, memo->size, w->end) && p[memo->size] > ' ') {
            *attribute = (enum walk_attribute)memo->attribute;
            return p + memo->size;
        }
    }
    p = WALK(key)(w, p, &key);
    if (!p) return NULL;
    *attribute = walk_attribute_of(&key);
    if (*attribute && !walk_attribute_allowed(w, *attribute, &key, row->id_end, stamps)) return NULL;
    const uint8_t *value = WALK(colon)(w, p);
    if (value && *p == ':') walk_remember(w, nth, &key, p, *attribute);
    return value;
}

/* Reads one row's object at p. */
static inline const uint8_t *WALK(row)(walk *w, const uint8_t *p, uint32_t index) {
    scan_row row = {(uint32_t)(p - w->body), 0, 0, 0};
    const uint8_t *start = p;
    uint32_t stamps = 0;
    int done;

    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    for (uint32_t nth = 0; !done; nth++) {
        enum walk_attribute attribute;
        walk_shape shape;
        p = WALK(row_key)(w, p, nth, &row, &stamps, &attribute);
        if (!p) return NULL;
        const uint8_t *value = p;
        if (attribute == WALK_ID) {
            p = WALK(id)(w, p, &row, 0);
        } else {
            p = WALK(value)(w, p, 3, &shape);
            if (p && attribute && !walk_attribute_ends(w, attribute, &shape, value, p, index, 1)) return NULL;
        }
        if (!p) return NULL;
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    if (!row.id_end) return walk_fault(w, SCAN_ROW_WITHOUT_ID, start);
    row.end = (uint32_t)(p + 1 - w->body);
    w->plan->rows[index] = row;
    return p + 1;
}

/* Reads `upsert_rows` or `patch_rows`. */
static const uint8_t *WALK(rows)(walk *w, const uint8_t *p) {
    int done;
    if (*p != '[') return walk_wrong_type(w, SCAN_OPERATION_TYPE, p);
    scan_section *section = walk_section(w, p);
    /* What was allowed in an upsert may not be in a patch. */
    w->memos_count = 0;
    p = WALK(open)(w, p, ']', &done);
    if (!p) return NULL;
    while (!done) {
        w->row = section->count;
        if (!walk_room(w, p)) return NULL;
        if (*p != '{') return walk_fault(w, SCAN_ROW_TYPE, p);
        p = WALK(row)(w, p, w->plan->rows_count);
        if (!p) return NULL;
        w->plan->rows_count++;
        section->count++;
        p = WALK(after)(w, p, ']', &done);
        if (!p) return NULL;
    }
    w->row = -1;
    return p + 1;
}

/* Reads an array of ids: `deletes`, or an id column. */
static const uint8_t *WALK(ids)(walk *w, const uint8_t *p, scan_section *section) {
    int done;
    p = WALK(open)(w, p, ']', &done);
    if (!p) return NULL;
    while (!done) {
        scan_row row = {0, 0, 0, 0};
        w->row = section->count;
        if (!walk_room(w, p)) return NULL;
        p = WALK(id)(w, p, &row, 1);
        if (!p) return NULL;
        w->plan->rows[w->plan->rows_count++] = row;
        section->count++;
        p = WALK(after)(w, p, ']', &done);
        if (!p) return NULL;
    }
    w->row = -1;
    return p + 1;
}

static const uint8_t *WALK(deletes)(walk *w, const uint8_t *p) {
    if (*p != '[') return walk_wrong_type(w, SCAN_OPERATION_TYPE, p);
    return WALK(ids)(w, p, walk_section(w, p));
}

/* Columns */

/* Reads one column's array, the id column's too, and counts its elements into *columns. */
static const uint8_t *WALK(column)(walk *w, const uint8_t *p, enum walk_attribute attribute, walk_columns *columns,
                                   scan_section *section) {
    walk_shape shape = {0, 0, '['};
    uint32_t at = (uint32_t)(p - w->body);
    if (*p != '[') return walk_wrong_type(w, SCAN_COLUMN_TYPE, p);
    if (attribute == WALK_ID) {
        p = WALK(ids)(w, p, section);
        columns->ids_at = at;
        shape.count = section->count;
    } else {
        p = WALK(container)(w, p, 2, &shape);
        if (p && attribute && !walk_column_shape(w, attribute, &shape, at)) return NULL;
    }
    if (!p) return NULL;
    walk_count_column(columns, at, shape.count);
    return p;
}

/* Reads `upsert_columns` or `patch_columns`. */
static const uint8_t *WALK(columns)(walk *w, const uint8_t *p) {
    walk_columns columns = {0, 0, 0, 0, 0};
    const uint8_t *start = p;
    uint32_t stamps = 0;
    int done;

    if (*p != '{') return walk_wrong_type(w, SCAN_OPERATION_TYPE, p);
    uint32_t index = w->plan->sections_count;
    scan_section *section = walk_section(w, p);
    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    while (!done) {
        walk_key key;
        walk_shape shape;
        p = WALK(key)(w, p, &key);
        if (!p) return NULL;
        enum walk_attribute attribute = walk_attribute_of(&key);
        if (attribute && !walk_attribute_allowed(w, attribute, &key, columns.ids_at, &stamps)) return NULL;
        p = WALK(colon)(w, p);
        if (!p) return NULL;
        if (attribute == WALK_TIME || attribute == WALK_SHARD) {
            const uint8_t *value = p;
            p = WALK(value)(w, p, 2, &shape);
            if (p && !walk_attribute_ends(w, attribute, &shape, value, p, index, 0)) return NULL;
        } else {
            p = WALK(column)(w, p, attribute, &columns, section);
        }
        if (!p) return NULL;
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    return walk_columns_end(w, &columns, section, start) ? p + 1 : NULL;
}

/* By filter, schema */

/* Reads the `patch` object of `patch_by_filter`. */
static const uint8_t *WALK(patch)(walk *w, const uint8_t *p) {
    uint32_t stamps = 0, index = w->plan->sections_count;
    int done;
    if (*p != '{') return walk_wrong_type(w, SCAN_PATCH_TYPE, p);
    scan_section *section = walk_section(w, p);
    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    section->empty = (uint32_t)done;
    while (!done) {
        walk_key key;
        walk_shape shape;
        p = WALK(key)(w, p, &key);
        if (!p) return NULL;
        enum walk_attribute attribute = walk_attribute_of(&key);
        if (attribute == WALK_ID) attribute = WALK_PLAIN;
        if (attribute && !walk_attribute_allowed(w, attribute, &key, 0, &stamps)) return NULL;
        p = WALK(colon)(w, p);
        if (!p) return NULL;
        const uint8_t *value = p;
        p = WALK(value)(w, p, 3, &shape);
        if (!p || (attribute && !walk_attribute_ends(w, attribute, &shape, value, p, index, 0))) return NULL;
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    return p + 1;
}

static const uint8_t *WALK(patch_by_filter)(walk *w, const uint8_t *p) {
    const uint8_t *start = p;
    int done, has_filters = 0, has_patch = 0;
    if (*p != '{') return walk_wrong_type(w, SCAN_OPERATION_TYPE, p);
    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    while (!done) {
        walk_key key;
        walk_shape shape;
        p = WALK(key)(w, p, &key);
        if (!p) return NULL;
        int is_patch = walk_key_is(&key, "patch"), is_filters = walk_key_is(&key, "filters");
        if ((is_patch && has_patch) || (is_filters && has_filters)) return walk_key_fault(w, SCAN_DUPLICATE_KEY, &key);
        has_patch |= is_patch;
        has_filters |= is_filters;
        p = WALK(colon)(w, p);
        if (!p) return NULL;
        p = is_patch ? WALK(patch)(w, p) : WALK(value)(w, p, 2, &shape);
        if (!p) return NULL;
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    if (!has_patch) return walk_fault(w, SCAN_PATCH_MISSING, start);
    return p + 1;
}

/* Reads `schema`, and notes whether an object there names a reserved attribute. */
static const uint8_t *WALK(schema)(walk *w, const uint8_t *p) {
    walk_shape shape;
    int done;
    if (*p != '{') return WALK(value)(w, p, 1, &shape);
    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    while (!done) {
        walk_key key;
        p = WALK(key)(w, p, &key);
        if (!p) return NULL;
        if (walk_attribute_of(&key) >= WALK_TIME) w->plan->schema_reserved = 1;
        p = WALK(colon)(w, p);
        if (!p) return NULL;
        p = WALK(value)(w, p, 2, &shape);
        if (!p) return NULL;
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    return p + 1;
}

/* The body */

static const uint8_t *WALK(operation)(walk *w, const uint8_t *p) {
    walk_shape shape;
    switch (w->op) {
    case SCAN_UPSERT_ROWS:
    case SCAN_PATCH_ROWS: return WALK(rows)(w, p);
    case SCAN_UPSERT_COLUMNS:
    case SCAN_PATCH_COLUMNS: return WALK(columns)(w, p);
    case SCAN_DELETES: return WALK(deletes)(w, p);
    case SCAN_PATCH_BY_FILTER: return WALK(patch_by_filter)(w, p);
    case SCAN_SCHEMA: return WALK(schema)(w, p);
    default: return WALK(value)(w, p, 1, &shape);
    }
}

static const uint8_t *WALK(object)(walk *w, const uint8_t *p) {
    int done;
    p = WALK(open)(w, p, '}', &done);
    if (!p) return NULL;
    while (!done) {
        walk_key key;
        p = WALK(key)(w, p, &key);
        if (!p) return NULL;
        uint32_t known = walk_known_key(&key);
        if (!walk_key_allowed(w, known, &key)) return NULL;
        p = WALK(colon)(w, p);
        if (!p) return NULL;
        const uint8_t *value = p;
        w->op = known;
        p = WALK(operation)(w, p);
        if (!p) return NULL;
        w->op = SCAN_KEY_UNKNOWN;
        if (known < SCAN_KNOWN_KEYS) {
            w->plan->value_start[known] = (uint32_t)(value - w->body);
            w->plan->value_end[known] = (uint32_t)(p - w->body);
        }
        p = WALK(after)(w, p, '}', &done);
        if (!p) return NULL;
    }
    return p + 1;
}

static void WALK(body)(walk *w) {
    walk_shape shape;
    const uint8_t *value = WALK(space)(w->body, w->end), *p;
    if (value == w->end) {
        walk_fault(w, SCAN_EMPTY, value);
        return;
    }
    p = *value == '{' ? WALK(object)(w, value) : WALK(value)(w, value, 0, &shape);
    if (!p) return;
    p = WALK(space)(p, w->end);
    if (p != w->end)
        walk_fault(w, SCAN_BAD_BYTE, p);
    else if (*value != '{')
        walk_fault(w, SCAN_NOT_OBJECT, value);
    else if (!(w->plan->keys & SCAN_RECOGNISED))
        walk_fault(w, SCAN_NO_OPERATION, w->body);
}
