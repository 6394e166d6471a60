/* What the document cache keeps of a row: its attributes, as the client spelled them, and the stamps. Compiled once
 * for each instruction set, after walk_body.h and with the same names.
 *
 * The body was scanned already, so nothing here is a fault the client has to hear of; but the bytes are walked with
 * the same functions, and where one of them balks (a malformed number in a column, which upstream would have
 * refused) the row is not mirrored. */

/* Copies one member if it is an attribute to keep; returns the end of its value. */
static inline const uint8_t *WALK(mirror_member)(walk *w, const walk_key *key, const uint8_t *value, const uint8_t *end,
                                                 mirror_row *row) {
    enum walk_attribute attribute = walk_attribute_of(key);
    int system = attribute == WALK_ID || attribute == WALK_VECTOR || attribute == WALK_VECTORS || attribute >= WALK_TIME;
    /* Upstream does not give null attributes back. In a patch a null clears, so there it has to be kept. */
    int absent = walk_is_upsert(w) && end - value == 4 && *value == 'n';
    if (!system && !absent) mirror_append(row, key, value, end);
    return end;
}

/* Mirrors one row of a rows form. Returns 0 if it cannot be mirrored. */
static int WALK(mirror_object)(walk *w, const scan_row *from, mirror_row *row) {
    const uint8_t *p = w->body + from->start;
    int done;
    p = WALK(open)(w, p, '}', &done);
    while (p && !done) {
        walk_key key;
        walk_shape shape;
        const uint8_t *value, *end;
        p = WALK(key)(w, p, &key);
        value = p ? WALK(colon)(w, p) : NULL;
        end = value ? WALK(value)(w, value, 3, &shape) : NULL;
        if (!end) return 0;
        WALK(mirror_member)(w, &key, value, end, row);
        p = WALK(after)(w, end, '}', &done);
    }
    return p != NULL;
}

/* Finds the columns of a columns form and sets a cursor on the first element of each. Returns 0 if out of memory. */
static int WALK(mirror_columns_open)(walk *w, const scan_section *section, mirror_cursors *cursors) {
    const uint8_t *p = w->body + section->open;
    int done;
    p = WALK(open)(w, p, '}', &done);
    while (p && !done) {
        walk_key key;
        walk_shape shape;
        p = WALK(key)(w, p, &key);
        const uint8_t *value = p ? WALK(colon)(w, p) : NULL;
        if (!value) return 0;
        enum walk_attribute attribute = walk_attribute_of(&key);
        if (attribute == WALK_PLAIN || attribute == WALK_BLOBS) {
            const uint8_t *first = WALK(next)(w, value + 1);
            if (!first || !mirror_add_cursor(cursors, &key, first)) return 0;
        }
        p = WALK(value)(w, value, 2, &shape);
        if (p) p = WALK(after)(w, p, '}', &done);
    }
    return p != NULL;
}

/* Mirrors the next row of a columns form: one element of each column. */
static int WALK(mirror_elements)(walk *w, mirror_cursors *cursors, mirror_row *row) {
    for (uint32_t i = 0; i < cursors->count; i++) {
        mirror_cursor *cursor = &cursors->items[i];
        const uint8_t *value = cursor->at, *end = value;
        walk_shape shape;
        if (CHAR_CLASS[*value] & CHAR_NUMBER)
            while (CHAR_CLASS[*end] & CHAR_NUMBER) end++;
        else
            end = WALK(value)(w, value, 3, &shape);
        if (!end) return 0;
        WALK(mirror_member)(w, &cursor->key, value, end, row);
        const uint8_t *next = WALK(next)(w, end);
        if (!next) return 0;
        cursor->at = *next == ',' ? WALK(next)(w, next + 1) : next;
        if (!cursor->at) return 0;
    }
    return 1;
}
