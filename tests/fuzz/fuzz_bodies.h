/* Random bodies: writes of every form, mostly good, then broken; or mere soups of tokens. */
#ifndef FUZZ_BODIES_H
#define FUZZ_BODIES_H

#include "fuzz_tokens.h"

static void put_white(text *t, dice *d)
{
    static const char white[] = " \n\t\r";
    if (!one_in(d, 10))
        return;
    size_t size = one_in(d, 8) ? RUN_LENGTHS[below(d, COUNT(RUN_LENGTHS))] : 1 + below(d, 3);
    put_run(t, white[below(d, 4)], size);
}

static void put_string(text *t, dice *d)
{
    put_byte(t, '"');
    for (uint32_t pieces = below(d, 4); pieces; pieces--) {
        if (one_in(d, 150))
            PUT_ONE_OF(t, d, BAD_PIECES);
        else if (one_in(d, 8))
            put_run(t, "A\\/ 1"[below(d, 5)], RUN_LENGTHS[below(d, COUNT(RUN_LENGTHS))]);
        else
            PUT_ONE_OF(t, d, GOOD_PIECES);
    }
    put_byte(t, '"');
}

/* A name between quotes, one byte of it escaped now and then. */
static void put_name(text *t, dice *d, const token *name)
{
    static const char hex[] = "0123456789abcdef";
    put_byte(t, '"');
    size_t escaped = one_in(d, 8) && name->size ? below(d, (uint32_t)name->size) : name->size;
    for (size_t i = 0; i < name->size; i++) {
        uint8_t byte = (uint8_t)name->bytes[i];
        if (i == escaped) {
            put(t, "\\u00", 4);
            put_byte(t, hex[byte >> 4]);
            put_byte(t, hex[byte & 15]);
        } else {
            put_byte(t, byte);
        }
    }
    put_byte(t, '"');
}

static void put_literal_name(text *t, dice *d, const char *name)
{
    token one = {name, strlen(name)};
    put_name(t, d, &one);
}

static void put_colon(text *t, dice *d)
{
    put_white(t, d);
    put_byte(t, ':');
    put_white(t, d);
}

static void put_comma_before(text *t, dice *d, uint32_t index)
{
    put_white(t, d);
    if (index) {
        put_byte(t, ',');
        put_white(t, d);
    }
}

static void put_numbers(text *t, dice *d)
{
    uint32_t count = one_in(d, 16) ? below(d, 80) : below(d, 9);
    if (one_in(d, 2000))
        count = below(d, 2000);
    int odd = one_in(d, 4);
    const token *same = &GOOD_NUMBERS[below(d, COUNT(GOOD_NUMBERS))];
    put_byte(t, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            put_byte(t, ',');
        if (odd && one_in(d, 3))
            PUT_ONE_OF(t, d, ODD_NUMBERS);
        else
            put_token(t, same);
        if (one_in(d, 200))
            put_white(t, d);
    }
    put_byte(t, ']');
}

/* Any value; depth bounds the recursion of this generator, not that of its bodies. */
static void put_value(text *t, dice *d, int depth)
{
    uint32_t kind = below(d, depth < 3 ? 12 : 8), count = below(d, 4);
    if (kind <= 2) {
        PUT_ONE_OF(t, d, GOOD_NUMBERS);
    } else if (kind <= 4) {
        put_string(t, d);
    } else if (kind == 5) {
        PUT_ONE_OF(t, d, LITERALS);
    } else if (kind <= 7) {
        put_numbers(t, d);
    } else if (kind <= 9) {
        put_byte(t, '[');
        for (uint32_t i = 0; i < count; i++) {
            put_comma_before(t, d, i);
            put_value(t, d, depth + 1);
        }
        put_white(t, d);
        put_byte(t, ']');
    } else if (one_in(d, 100)) {
        size_t levels = 500 + below(d, 16);
        put_run(t, '[', levels);
        put_run(t, ']', levels);
    } else {
        put_byte(t, '{');
        for (uint32_t i = 0; i < count; i++) {
            put_comma_before(t, d, i);
            put_name(t, d, &NAMES[below(d, COUNT(NAMES))]);
            put_colon(t, d);
            put_value(t, d, depth + 1);
        }
        put_white(t, d);
        put_byte(t, '}');
    }
}

static void put_id(text *t, dice *d)
{
    if (one_in(d, 2))
        put_string(t, d);
    else
        PUT_ONE_OF(t, d, GOOD_NUMBERS);
}

/* The members of a row, of a columns object (columns > 0: the length of each) or of a patch. Names and their order
 * come from other dice than values: rows of one shape share them. */
static void put_members(text *t, dice *d, dice names, int patch, uint32_t columns)
{
    uint32_t count = 1 + below(&names, 4), id_at = below(&names, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t kind = below(&names, 40);
        const char *vector = one_in(&names, 2) ? "vector" : "vectors";
        put_comma_before(t, d, i);
        if (i == id_at)
            put_literal_name(t, d, "id");
        else if (kind < 10 && !patch)
            put_literal_name(t, d, vector);
        else if (kind < 14)
            put_literal_name(t, d, one_in(&names, 2) ? "_hevlayer_upserted_at" : "_hevlayer_shard");
        else
            put_name(t, d, kind == 14 ? &NAMES[below(&names, COUNT(NAMES))]
                                      : &PLAIN_NAMES[below(&names, COUNT(PLAIN_NAMES))]);
        put_colon(t, d);
        if (!columns && i == id_at) {
            put_id(t, d);
        } else if (!columns && kind < 10 && !patch) {
            put(t, "[", strcmp(vector, "vectors") == 0);
            put_numbers(t, d);
            put(t, "]", strcmp(vector, "vectors") == 0);
        } else if (columns) {
            put_byte(t, '[');
            for (uint32_t j = one_in(d, 60); j < columns; j++) {
                put_comma_before(t, d, j);
                if (i == id_at)
                    put_id(t, d);
                else if (kind < 10)
                    put_numbers(t, d);
                else
                    put_value(t, d, 2);
            }
            put_byte(t, ']');
        } else {
            put_value(t, d, 1);
        }
    }
}

static void put_rows(text *t, dice *d, int patch)
{
    uint32_t count = one_in(d, 200) ? below(d, 200) : below(d, 5);
    dice shape = {dice_next(d)};
    put_byte(t, '[');
    for (uint32_t i = 0; i < count; i++) {
        put_comma_before(t, d, i);
        put_byte(t, '{');
        if (one_in(d, 6))
            shape.state = dice_next(d);
        put_members(t, d, shape, patch, 0);
        put_byte(t, '}');
    }
    put_byte(t, ']');
}

static void put_operation(text *t, dice *d, uint32_t key)
{
    if (key == 0 || key == 2) {
        put_rows(t, d, key == 2);
    } else if (key == 1 || key == 3) {
        put_byte(t, '{');
        put_members(t, d, *d, key == 3, 1 + below(d, 4));
        put_byte(t, '}');
    } else if (key == 4) {
        uint32_t count = below(d, 6);
        put_byte(t, '[');
        for (uint32_t i = 0; i < count; i++) {
            put_comma_before(t, d, i);
            put_id(t, d);
        }
        put_byte(t, ']');
    } else if (key == 6) {
        put(t, "{\"patch\":{", 10);
        if (!one_in(d, 3))
            put_members(t, d, *d, 1, 0);
        put(t, "},\"filters\":", 12);
        put_value(t, d, 1);
        put_byte(t, '}');
    } else {
        put_value(t, d, 0);
    }
}

static void put_write(text *t, dice *d)
{
    uint32_t count = 1 + below(d, 3);
    put_white(t, d);
    put_byte(t, '{');
    for (uint32_t i = 0; i < count; i++) {
        /* The first seven names are the row operations. */
        uint32_t key = one_in(d, 4) ? below(d, COUNT(NAMES)) : below(d, 7);
        put_comma_before(t, d, i);
        put_name(t, d, &NAMES[key]);
        put_colon(t, d);
        put_operation(t, d, key);
    }
    put_byte(t, '}');
    put_white(t, d);
}

static void put_soup(text *t, dice *d)
{
    for (uint32_t pieces = 1 + below(d, 12); pieces; pieces--) {
        switch (below(d, 6)) {
        case 0: put_string(t, d); break;
        case 1: put_name(t, d, &NAMES[below(d, COUNT(NAMES))]); break;
        case 2: put_value(t, d, 2); break;
        default: PUT_ONE_OF(t, d, SOUP);
        }
    }
}

/* Breaks a body in one place. */
static void mutate(text *t, dice *d)
{
    static const char bytes[] = "{}[],:\"\\ 01-+.eEtfnu_\n\x1f\x7f\x80\xc3\xe2\xf0\xff";
    static text piece;
    uint32_t size = (uint32_t)t->size, at = below(d, size + 1);
    uint32_t left = size - at, some = left ? 1 + below(d, left < 8 ? left : 8) : 0;
    uint8_t byte = one_in(d, 4) ? (uint8_t)below(d, 256) : (uint8_t)bytes[below(d, sizeof bytes)];
    piece.size = 0;
    switch (below(d, 8)) {
    case 0: replace(t, at, some, "", 0); break;
    case 1: replace(t, at, 0, &byte, 1); break;
    case 2:
    case 3: replace(t, at, left > 0, &byte, 1); break;
    case 4: t->size = at; break;
    case 5:
        memcpy(piece.bytes, t->bytes + at, some);
        replace(t, at, 0, piece.bytes, some);
        break;
    case 6:
        PUT_ONE_OF(&piece, d, SOUP);
        replace(t, at, 0, piece.bytes, piece.size);
        break;
    default:
        put_run(&piece, "1\"\\ A,["[below(d, 7)], RUN_LENGTHS[below(d, COUNT(RUN_LENGTHS))]);
        replace(t, at, one_in(d, 2) ? some : 0, piece.bytes, piece.size);
    }
}

#endif
