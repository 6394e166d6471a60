/* Skipping strings, runs of numbers and white space 32 and 64 bytes at a time.
 *
 * Each function does exactly what its portable twin does. No load passes `end`: what is left of the last block goes
 * to the twin, so a body needs no padding. Every load is unaligned, so alignment cannot change the outcome. */
#ifndef HEVFAST_SKIP_AVX2_H
#define HEVFAST_SKIP_AVX2_H

#include <immintrin.h>

#include "skip_portable.h"

static inline __m256i avx2_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

static inline uint32_t avx2_mask(__m256i v) { return (uint32_t)_mm256_movemask_epi8(v); }

/* Non-zero where a string's text stops. The signed comparison takes controls and non-ASCII bytes at once. */
static inline __m256i avx2_text_stops(__m256i v) {
    __m256i quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
    __m256i backslash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), v);
    return _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
}

static inline const uint8_t *avx2_skip_text(const uint8_t *p, const uint8_t *end) {
    /* Keys and short values end in the first block; base64 vectors are thousands of bytes, so the third block on
     * goes by 128 bytes and one branch. */
    for (int i = 0; i < 2; i++) {
        if (end - p < 32) return portable_skip_text(p, end);
        uint32_t stops = avx2_mask(avx2_text_stops(avx2_load(p)));
        if (stops) return p + __builtin_ctz(stops);
        p += 32;
    }
    while (end - p >= 128) {
        __m256i a = avx2_text_stops(avx2_load(p)), b = avx2_text_stops(avx2_load(p + 32));
        __m256i c = avx2_text_stops(avx2_load(p + 64)), d = avx2_text_stops(avx2_load(p + 96));
        if (avx2_mask(_mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)))) break;
        p += 128;
    }
    while (end - p >= 32) {
        uint32_t stops = avx2_mask(avx2_text_stops(avx2_load(p)));
        if (stops) return p + __builtin_ctz(stops);
        p += 32;
    }
    return portable_skip_text(p, end);
}

static inline const uint8_t *avx2_skip_space(const uint8_t *p, const uint8_t *end) {
    const __m256i spaces = _mm256_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0,
                                            ' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
    while (end - p >= 32) {
        /* The low nibble picks the one white space byte it could be; bytes over 0x7F pick zero, which they are not. */
        __m256i v = avx2_load(p);
        uint32_t space = avx2_mask(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(spaces, v), v));
        /* A zero byte picks the space, and a low nibble without one picks zero: neither can be equal. */
        if (space != 0xFFFFFFFFu) return p + __builtin_ctz(~space);
        p += 32;
    }
    return portable_skip_space(p, end);
}

/* q lies before p, so where p has 32 bytes to read q has them too. size is at most 32. */
static inline int avx2_same(const uint8_t *p, const uint8_t *q, uint32_t size, const uint8_t *end) {
    if (end - p <= 32) return portable_same(p, q, size, end);
    uint32_t differs = ~avx2_mask(_mm256_cmpeq_epi8(avx2_load(p), avx2_load(q)));
    return _bzhi_u32(differs, size) == 0;
}

static inline const uint8_t *avx2_skip_digits(const uint8_t *p, const uint8_t *end) {
    if (end - p >= 16) {
        __m128i v = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('0'));
        __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v);
        uint32_t others = ~(uint32_t)_mm_movemask_epi8(digits);
        if (others & 0xFFFF) return p + __builtin_ctz(others);
        p += 16;
    }
    return portable_skip_digits(p, end);
}

/* Classes of the bytes inside an array of numbers, one bit each, from two nibble tables: a byte's class is the AND of
 * what its low and its high nibble allow. */
enum { AVX2_SIGN = 1, AVX2_DIGIT = 2, AVX2_EXPONENT = 4, AVX2_COMMA = 8, AVX2_BLANK = 16, AVX2_BREAK = 32 };

typedef struct {
    uint64_t number, comma, space; /* bit i: byte i of the block */
} avx2_block;

static inline __m256i avx2_classes(__m256i v) {
    enum { S = AVX2_SIGN, D = AVX2_DIGIT, E = AVX2_EXPONENT, C = AVX2_COMMA, B = AVX2_BLANK, R = AVX2_BREAK };
    const __m256i low = _mm256_setr_epi8(D | B, D, D, D, D, D | E, D, D, D, D | R, R, S, C, S | R, S, 0,
                                         D | B, D, D, D, D, D | E, D, D, D, D | R, R, S, C, S | R, S, 0);
    const __m256i high = _mm256_setr_epi8(R, 0, S | C | B, D, E, 0, E, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                          R, 0, S | C | B, D, E, 0, E, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i nibble = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0F));
    return _mm256_and_si256(_mm256_shuffle_epi8(low, v), _mm256_shuffle_epi8(high, nibble));
}

static inline uint64_t avx2_any(__m256i a, __m256i b, int bits) {
    const __m256i want = _mm256_set1_epi8((char)bits), zero = _mm256_setzero_si256();
    uint32_t low = ~avx2_mask(_mm256_cmpeq_epi8(_mm256_and_si256(a, want), zero));
    uint32_t high = ~avx2_mask(_mm256_cmpeq_epi8(_mm256_and_si256(b, want), zero));
    return (uint64_t)high << 32 | low;
}

/* Numbers and single commas only, nearly all bytes of real bodies: whole blocks are accepted with a few instructions,
 * and the block that holds the closing bracket up to it. *need_value is 1 if a value must come at p. Returns the first
 * byte it leaves, with *stopped = 1 if that is neither number, comma nor white space. */
static inline const uint8_t *avx2_skip_dense(const uint8_t *p, const uint8_t *end, int *need_value, uint32_t *commas,
                                             int *stopped) {
    const __m256i comma = _mm256_set1_epi8(','), zero = _mm256_setzero_si256();
    const __m256i spaces = _mm256_set1_epi8(AVX2_BLANK | AVX2_BREAK);
    uint64_t carry = (uint64_t)*need_value;
    uint32_t passed = 0;
    *stopped = 0;
    while (end - p >= 64) {
        __m256i a = avx2_load(p), b = avx2_load(p + 32);
        __m256i class_a = avx2_classes(a), class_b = avx2_classes(b);
        /* Zero where a byte has a class and that is not white space: the two white space bits are the highest. */
        __m256i other_a = _mm256_or_si256(_mm256_cmpeq_epi8(class_a, zero), _mm256_and_si256(class_a, spaces));
        __m256i other_b = _mm256_or_si256(_mm256_cmpeq_epi8(class_b, zero), _mm256_and_si256(class_b, spaces));
        uint64_t at = (uint64_t)avx2_mask(_mm256_cmpeq_epi8(b, comma)) << 32 | avx2_mask(_mm256_cmpeq_epi8(a, comma));
        uint64_t twice = at & (at << 1 | carry);
        __m256i other = _mm256_or_si256(other_a, other_b);
        if (!_mm256_testz_si256(other, other)) {
            uint64_t regular = (uint64_t)avx2_mask(_mm256_cmpeq_epi8(other_b, zero)) << 32 |
                               avx2_mask(_mm256_cmpeq_epi8(other_a, zero));
            uint32_t inside = (uint32_t)__builtin_ctzll(~regular);
            if (!inside || CHAR_CLASS[p[inside]] & CHAR_SPACE || twice & _bzhi_u64(~(uint64_t)0, inside)) break;
            passed += (uint32_t)__builtin_popcountll(_bzhi_u64(at, inside));
            carry = at >> (inside - 1) & 1;
            p += inside;
            *stopped = 1;
            break;
        }
        if (twice) break;
        carry = at >> 63;
        passed += (uint32_t)__builtin_popcountll(at);
        p += 64;
    }
    *need_value = (int)carry;
    *commas += passed;
    return p;
}

static inline const uint8_t *avx2_skip_numbers(const uint8_t *p, const uint8_t *end, int *need_value,
                                               uint32_t *commas) {
    /* Bit 0: the byte before p belongs to a number, so that a number byte at p goes on with it. */
    uint64_t in_number = 0;
    while (end - p >= 64) {
        if (*need_value || in_number) {
            int stopped;
            p = avx2_skip_dense(p, end, need_value, commas, &stopped);
            if (stopped) return p;
            in_number = !*need_value;
            if (end - p < 64) break;
        }
        __m256i a = avx2_classes(avx2_load(p)), b = avx2_classes(avx2_load(p + 32));
        uint64_t number = avx2_any(a, b, AVX2_SIGN | AVX2_DIGIT | AVX2_EXPONENT);
        uint64_t comma = avx2_any(a, b, AVX2_COMMA), space = avx2_any(a, b, AVX2_BLANK | AVX2_BREAK);
        uint64_t other = ~(number | comma | space);
        uint64_t inside = other ? (other & -other) - 1 : ~(uint64_t)0;

        /* Numbers' first bytes and commas must take turns. */
        uint64_t starts = number & ~(number << 1 | in_number);
        uint64_t events = (starts | comma) & inside;
        uint64_t turns = _pext_u64(comma, events);
        uint32_t count = (uint32_t)__builtin_popcountll(events);
        uint64_t wanted = *need_value ? 0xAAAAAAAAAAAAAAAAu : 0x5555555555555555u;
        uint64_t wrong = (turns ^ wanted) & _bzhi_u64(~(uint64_t)0, count);
        if (wrong) {
            /* Stop at the first one out of turn, with the turn it should have been. */
            uint32_t nth = (uint32_t)__builtin_ctzll(wrong);
            uint64_t at = _pdep_u64((uint64_t)1 << nth, events);
            *commas += (uint32_t)__builtin_popcountll(comma & (at - 1));
            *need_value ^= (int)(nth & 1);
            return p + __builtin_ctzll(at);
        }
        *commas += (uint32_t)__builtin_popcountll(comma & inside);
        *need_value ^= (int)(count & 1);
        if (other) return p + __builtin_ctzll(other);
        in_number = number >> 63;
        p += 64;
    }
    if (in_number)
        while (p < end && (CHAR_CLASS[*p] & CHAR_NUMBER)) p++;
    return portable_skip_numbers(p, end, need_value, commas);
}

#endif
