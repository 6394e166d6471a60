/* Random numbers from a seed, and a bounded text that bodies are written to. */
#ifndef FUZZ_TEXT_H
#define FUZZ_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TEXT_BYTES_MAX 65536

typedef struct {
    uint64_t state;
} dice;

/* splitmix64: any seed is a good one, neighbours included, so that seed + n is the n-th execution. */
static uint64_t dice_next(dice *d)
{
    uint64_t z = (d->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t below(dice *d, uint32_t bound)
{
    return (uint32_t)(((dice_next(d) >> 32) * bound) >> 32);
}

static int one_in(dice *d, uint32_t chances)
{
    return below(d, chances) == 0;
}

typedef struct {
    size_t size;
    uint8_t bytes[TEXT_BYTES_MAX];
} text;

/* What does not fit is left out: a body cut short is as good as any. */
static void put(text *t, const void *bytes, size_t size)
{
    if (size > TEXT_BYTES_MAX - t->size)
        size = TEXT_BYTES_MAX - t->size;
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void put_byte(text *t, int byte)
{
    uint8_t one = (uint8_t)byte;
    put(t, &one, 1);
}

static void put_run(text *t, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put_byte(t, byte);
}

/* Replaces bytes from..from + removed by others. */
static void replace(text *t, size_t from, size_t removed, const void *bytes, size_t size)
{
    size_t tail = t->size - from - removed;
    if (from + size + tail > TEXT_BYTES_MAX)
        return;
    memmove(t->bytes + from + size, t->bytes + from + removed, tail);
    memcpy(t->bytes + from, bytes, size);
    t->size = from + size + tail;
}

typedef struct {
    const char *bytes;
    size_t size;
} token;

#define TOKEN(literal) {literal, sizeof(literal) - 1}
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))
#define PUT_ONE_OF(t, d, table) put_token(t, &(table)[below(d, COUNT(table))])

static void put_token(text *t, const token *one)
{
    put(t, one->bytes, one->size);
}

#endif
