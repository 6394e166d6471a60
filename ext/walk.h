/* The walk over a write body. Compiled once for each instruction set: the including file defines WALK(name), which
 * gives a function its instruction set's name, and SAME, SKIP_TEXT, SKIP_SPACE, SKIP_DIGITS and SKIP_NUMBERS.
 *
 * Every function takes the place p it starts at and returns the place after what it read, or NULL when it met a
 * fault, which it has then recorded. p never passes w->end, and no byte is read at w->end. */

/* Strings */

/* Reads a string whose opening quote is at p. *escaped becomes 1 if it holds a backslash. */
static inline const uint8_t *WALK(string)(walk *w, const uint8_t *p, int *escaped) {
    p++;
    for (;;) {
        p = SKIP_TEXT(p, w->end);
        if (p == w->end) return walk_end(w);
        if (*p == '"') return p + 1;
        if (*p == '\\') {
            *escaped = 1;
            p = walk_escape(w, p);
        } else if (*p < 0x20) {
            return walk_fault(w, SCAN_CONTROL, p);
        } else {
            p = walk_utf8(w, p);
        }
        if (!p) return NULL;
    }
}

/* Reads a key and its colon; returns the first byte of the value. */
static inline const uint8_t *WALK(key)(walk *w, const uint8_t *p, walk_key *key) {
    if (*p != '"') return walk_fault(w, SCAN_BAD_BYTE, p);
    key->escaped = 0;
    key->start = p + 1;
    p = WALK(string)(w, p, &key->escaped);
    if (!p) return NULL;
    key->end = p - 1;
    return p;
}

static inline const uint8_t *WALK(space)(const uint8_t *p, const uint8_t *end) {
    return p < end && *p <= ' ' ? SKIP_SPACE(p, end) : p;
}

/* Skips white space in front of a byte that must be there. */
static inline const uint8_t *WALK(next)(walk *w, const uint8_t *p) {
    p = WALK(space)(p, w->end);
    return p < w->end ? p : walk_end(w);
}

static inline const uint8_t *WALK(colon)(walk *w, const uint8_t *p) {
    /* No white space, as nearly always. The same test saves `after` its two loops. */
    if (w->end - p >= 2 && p[0] == ':' && p[1] > ' ') return p + 1;
    p = WALK(next)(w, p);
    if (!p) return NULL;
    if (*p != ':') return walk_fault(w, SCAN_BAD_BYTE, p);
    return WALK(next)(w, p + 1);
}

/* Opens an object or array at p: returns its first member or element, or its closing bracket and *empty = 1. */
static inline const uint8_t *WALK(open)(walk *w, const uint8_t *p, uint8_t close, int *empty) {
    p = WALK(next)(w, p + 1);
    *empty = p && *p == close;
    return p;
}

/* Stands after a member or element: returns the next one after a comma, or the closing bracket and *done = 1. */
static inline const uint8_t *WALK(after)(walk *w, const uint8_t *p, uint8_t close, int *done) {
    *done = 0;
    if (w->end - p >= 2 && p[0] == ',' && p[1] > ' ') return p + 1;
    p = WALK(next)(w, p);
    if (!p) return NULL;
    *done = *p == close;
    if (*done) return p;
    if (*p != ',') return walk_fault(w, SCAN_BAD_BYTE, p);
    return WALK(next)(w, p + 1);
}

/* Values of no meaning to the gateway */

/* A number where RFC 8259 must hold. Integers, nearly all of them, are settled here. */
static inline const uint8_t *WALK(number)(walk *w, const uint8_t *p) {
    const uint8_t *digits = p + (*p == '-'), *after = SKIP_DIGITS(digits, w->end);
    int plain = after > digits && (*digits != '0' || after == digits + 1);
    if (plain && (after == w->end || !(CHAR_CLASS[*after] & CHAR_NUMBER))) return after;
    return walk_number(w, p);
}

/* A number or a literal where a value must stand outside arrays. */
static inline const uint8_t *WALK(scalar)(walk *w, const uint8_t *p) {
    if (*p == '-' || (*p >= '0' && *p <= '9')) return WALK(number)(w, p);
    return walk_literal(w, p);
}

/* Skips an object or array at p, whatever it holds. depth is the level of what surrounds it. *shape tells of the
 * direct elements of an array. No recursion: one bit a level says whether it is an array. */
static const uint8_t *WALK(container)(walk *w, const uint8_t *p, uint32_t depth, walk_shape *shape) {
    const uint32_t outside = depth;
    uint64_t arrays[SCAN_DEPTH_MAX / 64 + 1];
    int escaped;

open:
    if (depth == SCAN_DEPTH_MAX) return walk_fault(w, SCAN_TOO_DEEP, p);
    depth++;
    if (*p == '[') {
        arrays[depth / 64] |= (uint64_t)1 << depth % 64;
        p = WALK(next)(w, p + 1);
        if (!p) return NULL;
        if (*p == ']') goto close;
        goto element;
    }
    arrays[depth / 64] &= ~((uint64_t)1 << depth % 64);
    p = WALK(next)(w, p + 1);
    if (!p) return NULL;
    if (*p == '}') goto close;

member: {
    walk_key key;
    p = WALK(key)(w, p, &key);
    if (!p) return NULL;
    p = WALK(colon)(w, p);
    if (!p) return NULL;
    if (*p == '{' || *p == '[') goto open;
    p = *p == '"' ? WALK(string)(w, p, &escaped) : WALK(scalar)(w, p);
    if (!p) return NULL;
    goto after;
}

element: {
    uint32_t commas = 0, seen;
    if (CHAR_CLASS[*p] & CHAR_NUMBER) {
        int need_value = 1;
        p = SKIP_NUMBERS(p, w->end, &need_value, &commas);
        if (depth == outside + 1) {
            shape->types |= WALK_NUMBER;
            shape->count += commas;
        }
        if (p == w->end) return walk_end(w);
        if (!need_value) goto after;
        goto element_other;
    }
element_other:
    if (*p == '{' || *p == '[') {
        if (depth == outside + 1) shape->types |= *p == '{' ? WALK_OBJECT : WALK_ARRAY;
        goto open;
    }
    if (*p == '"') {
        seen = WALK_STRING;
        p = WALK(string)(w, p, &escaped);
    } else {
        seen = *p == 'n' ? WALK_NULL : WALK_BOOLEAN;
        p = walk_literal(w, p);
    }
    if (!p) return NULL;
    if (depth == outside + 1) shape->types |= seen;
}

after:
    p = WALK(next)(w, p);
    if (!p) return NULL;
    if (*p == ',') {
        p = WALK(next)(w, p + 1);
        if (!p) return NULL;
        if (!(arrays[depth / 64] >> depth % 64 & 1)) goto member;
        if (depth == outside + 1) shape->count++;
        goto element;
    }
close:
    if (*p != (arrays[depth / 64] >> depth % 64 & 1 ? ']' : '}')) return walk_fault(w, SCAN_BAD_BYTE, p);
    depth--;
    p++;
    if (depth == outside) {
        if (shape->types) shape->count++;
        return p;
    }
    goto after;
}

/* Skips any value. depth is the level of what surrounds it. */
static inline const uint8_t *WALK(value)(walk *w, const uint8_t *p, uint32_t depth, walk_shape *shape) {
    if (*p == '"') {
        int escaped = 0;
        const uint8_t *after = WALK(string)(w, p, &escaped);
        shape->types = WALK_STRING;
        shape->count = after && after - p > 2;
        shape->container = 0;
        return after;
    }
    if (*p == '[' || *p == '{') {
        uint8_t bracket = *p;
        if (bracket == '[' && w->end - p > 1 && CHAR_CLASS[p[1]] & CHAR_NUMBER) {
            /* An array of numbers, mostly a vector: no levels to keep. */
            int need_value = 1;
            uint32_t commas = 0;
            const uint8_t *after = SKIP_NUMBERS(p + 1, w->end, &need_value, &commas);
            if (after < w->end && *after == ']' && !need_value) {
                shape->types = WALK_NUMBER;
                shape->count = commas + 1;
                shape->container = bracket;
                return after + 1;
            }
        }
        shape->types = shape->count = 0;
        p = WALK(container)(w, p, depth, shape);
        shape->container = bracket;
        return p;
    }
    shape->types = *p == 'n' ? WALK_NULL : WALK_NUMBER | WALK_BOOLEAN;
    shape->container = 0;
    return WALK(scalar)(w, p);
}

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
