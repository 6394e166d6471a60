/* Skipping strings, runs of numbers and white space a byte at a time: the form for every processor, and the one
 * the AVX2 form is tested against. */
#ifndef HEVFAST_SKIP_PORTABLE_H
#define HEVFAST_SKIP_PORTABLE_H

#include <string.h>

#include "chars.h"

/* Returns the first byte at or after p that is a quote, a backslash, a control or a non-ASCII byte, or end. */
static inline const uint8_t *portable_skip_text(const uint8_t *p, const uint8_t *end) {
    while (p < end && !(CHAR_CLASS[*p] & CHAR_STOPS_TEXT)) p++;
    return p;
}

/* Returns the first byte at or after p that is not white space, or end. */
static inline const uint8_t *portable_skip_space(const uint8_t *p, const uint8_t *end) {
    while (p < end && (CHAR_CLASS[*p] & CHAR_SPACE)) p++;
    return p;
}

/* Whether the size bytes at p and q are the same. Both may be read up to their end only. */
static inline int portable_same(const uint8_t *p, const uint8_t *q, uint32_t size, const uint8_t *end) {
    return (size_t)(end - p) > size && memcmp(p, q, size) == 0;
}

/* Returns the first byte at or after p that is not a digit, or end. */
static inline const uint8_t *portable_skip_digits(const uint8_t *p, const uint8_t *end) {
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

/* Skips numbers, commas and white space of an array from p on, as far as they are in order.
 *
 * On entry *need_value says whether a value must come next. On return it says the same for the byte at the result,
 * which is the first one this function leaves to its caller: what is neither number, comma nor white space, a comma
 * where a value must stand, or a number where a comma must stand. *commas grows by the commas passed. */
static inline const uint8_t *portable_skip_numbers(const uint8_t *p, const uint8_t *end, int *need_value,
                                                   uint32_t *commas) {
    int need = *need_value;
    uint32_t passed = 0;
    while (p < end) {
        uint8_t class = CHAR_CLASS[*p];
        if (class & CHAR_NUMBER) {
            if (!need) break;
            do p++;
            while (p < end && (CHAR_CLASS[*p] & CHAR_NUMBER));
            need = 0;
        } else if (*p == ',') {
            if (need) break;
            need = 1;
            passed++;
            p++;
        } else if (class & CHAR_SPACE) {
            p++;
        } else {
            break;
        }
    }
    *need_value = need;
    *commas += passed;
    return p;
}

#endif
