/* What each byte of JSON text may be. */
#ifndef HEVFAST_CHARS_H
#define HEVFAST_CHARS_H

#include <stdint.h>

enum {
    CHAR_NUMBER = 1,      /* 0-9 + - . e E */
    CHAR_SPACE = 2,       /* space, tab, LF, CR */
    CHAR_STOPS_TEXT = 4,  /* quote, backslash, control, non-ASCII */
    CHAR_STARTS_VALUE = 8 /* outside arrays: quote, brackets, t f n, digit, minus */
};

#define N CHAR_NUMBER
#define D (CHAR_NUMBER | CHAR_STARTS_VALUE)
#define S CHAR_SPACE
#define T CHAR_STOPS_TEXT
#define V CHAR_STARTS_VALUE
#define TTTT T, T, T, T
#define T16 TTTT, TTTT, TTTT, TTTT
#define ZZZZ 0, 0, 0, 0

static const uint8_t CHAR_CLASS[256] = {
    /* 0x00 */ TTTT, TTTT, T, S | T, S | T, T, T, S | T, T, T,
    /* 0x10 */ T16,
    /* 0x20 */ S, 0, T | V, 0, ZZZZ, 0, 0, 0, N, 0, D, N, 0,
    /* 0x30 */ D, D, D, D, D, D, D, D, D, D, 0, 0, ZZZZ,
    /* 0x40 */ 0, 0, 0, 0, 0, N, 0, 0, ZZZZ, ZZZZ,
    /* 0x50 */ ZZZZ, ZZZZ, 0, 0, 0, V, T, 0, 0, 0,
    /* 0x60 */ 0, 0, 0, 0, 0, N, V, 0, ZZZZ, 0, 0, V, 0,
    /* 0x70 */ ZZZZ, V, 0, 0, 0, 0, 0, 0, V, ZZZZ,
    /* 0x80 */ T16, T16, T16, T16, T16, T16, T16, T16,
};

#undef N
#undef D
#undef S
#undef T
#undef V
#undef TTTT
#undef T16
#undef ZZZZ

#endif
