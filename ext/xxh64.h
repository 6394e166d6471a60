/* xxh64 with seed 0 (the published xxHash specification), fed in parts: ids are hashed while their escapes are resolved. */
#ifndef HEVFAST_XXH64_H
#define HEVFAST_XXH64_H

#include <stdint.h>
#include <string.h>

#define XXH64_P1 0x9E3779B185EBCA87u
#define XXH64_P2 0xC2B2AE3D27D4EB4Fu
#define XXH64_P3 0x165667B19E3779F9u
#define XXH64_P4 0x85EBCA77C2B2AE63u
#define XXH64_P5 0x27D4EB2F165667C5u

typedef struct {
    uint64_t lanes[4], size;
    uint8_t rest[32]; /* bytes not yet in a lane: size % 32 of them */
} xxh64_state;

static inline uint64_t xxh64_rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline uint64_t xxh64_read8(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static inline uint32_t xxh64_read4(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

static inline uint64_t xxh64_round(uint64_t lane, uint64_t input) {
    return xxh64_rotate(lane + input * XXH64_P2, 31) * XXH64_P1;
}

static inline void xxh64_stripe(uint64_t *lanes, const uint8_t *p) {
    for (int i = 0; i < 4; i++) lanes[i] = xxh64_round(lanes[i], xxh64_read8(p + 8 * i));
}

static inline void xxh64_begin(xxh64_state *s) {
    s->lanes[0] = XXH64_P1 + XXH64_P2;
    s->lanes[1] = XXH64_P2;
    s->lanes[2] = 0;
    s->lanes[3] = 0 - XXH64_P1;
    s->size = 0;
}

static inline void xxh64_feed(xxh64_state *s, const uint8_t *p, size_t size) {
    size_t held = s->size % 32;
    s->size += size;
    if (held) {
        size_t take = 32 - held < size ? 32 - held : size;
        memcpy(s->rest + held, p, take);
        p += take;
        size -= take;
        if (held + take < 32) return;
        xxh64_stripe(s->lanes, s->rest);
    }
    for (; size >= 32; p += 32, size -= 32) xxh64_stripe(s->lanes, p);
    memcpy(s->rest, p, size);
}

/* Mixes in what no stripe took, fewer than 32 bytes. */
static inline uint64_t xxh64_tail(uint64_t hash, const uint8_t *p, const uint8_t *end) {
    for (; end - p >= 8; p += 8) hash = xxh64_rotate(hash ^ xxh64_round(0, xxh64_read8(p)), 27) * XXH64_P1 + XXH64_P4;
    if (end - p >= 4) {
        hash = xxh64_rotate(hash ^ xxh64_read4(p) * XXH64_P1, 23) * XXH64_P2 + XXH64_P3;
        p += 4;
    }
    for (; p < end; p++) hash = xxh64_rotate(hash ^ *p * XXH64_P5, 11) * XXH64_P1;
    hash = (hash ^ hash >> 33) * XXH64_P2;
    hash = (hash ^ hash >> 29) * XXH64_P3;
    return hash ^ hash >> 32;
}

static inline uint64_t xxh64_finish(const xxh64_state *s) {
    uint64_t hash = XXH64_P5;
    if (s->size >= 32) {
        const uint64_t *v = s->lanes;
        hash = xxh64_rotate(v[0], 1) + xxh64_rotate(v[1], 7) + xxh64_rotate(v[2], 12) + xxh64_rotate(v[3], 18);
        for (int i = 0; i < 4; i++) hash = (hash ^ xxh64_round(0, v[i])) * XXH64_P1 + XXH64_P4;
    }
    return xxh64_tail(hash + s->size, s->rest, s->rest + s->size % 32);
}

static inline uint64_t xxh64(const uint8_t *p, size_t size) {
    /* Most ids are shorter than a stripe and need no state. */
    if (size < 32) return xxh64_tail(XXH64_P5 + size, p, p + size);
    xxh64_state s;
    xxh64_begin(&s);
    xxh64_feed(&s, p, size);
    return xxh64_finish(&s);
}

#endif
