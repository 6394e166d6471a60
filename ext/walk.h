/* The walk over JSON: tokens and values of no meaning to the gateway. Compiled once for each instruction set: the including file defines WALK(name), which
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
