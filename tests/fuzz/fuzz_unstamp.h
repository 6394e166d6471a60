/* Takes the stamps out of a stamped body again, from the places that the plan names. */
#ifndef FUZZ_UNSTAMP_H
#define FUZZ_UNSTAMP_H

#include "fuzz_text.h"
#include "scan_all.h"

typedef struct {
    int64_t now_ms;
    uint32_t shard_count;
    int stamp_shard;
} stamping;

/* Bytes of the client's body that a stamp stands for (none where it is inserted). */
typedef struct {
    uint32_t at, removed;
    uint32_t values;  /* how many values the stamp has */
    uint8_t array;
    uint8_t inserted; /* with its name and a comma */
    uint8_t comma;
    uint8_t stamp;
} change;

typedef struct {
    const uint8_t *at, *end;
} cursor;

static int by_place(const void *left, const void *right)
{
    const change *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (int)a->stamp - (int)b->stamp;
}

static const scan_cut *cut_of(const scan_plan *plan, uint32_t owner, uint32_t of_row, uint32_t stamp)
{
    for (uint32_t i = 0; i < plan->cuts_count; i++) {
        const scan_cut *cut = &plan->cuts[i];
        if (cut->owner == owner && cut->of_row == of_row && cut->stamp == stamp)
            return cut;
    }
    return NULL;
}

static size_t add_change(change *out, const scan_cut *cut, uint32_t brace, change as)
{
    as.at = cut ? cut->start : brace + 1;
    as.removed = cut ? cut->end - cut->start : 0;
    as.inserted = cut == NULL;
    *out = as;
    return 1;
}

/* Writes at most two changes a row and two a section, in the body's order. */
static size_t list_changes(const scan_plan *plan, int stamp_shard, change *out)
{
    size_t n = 0;
    for (uint32_t s = 0; s < plan->sections_count; s++) {
        const scan_section *section = &plan->sections[s];
        int rows = section->op == SCAN_UPSERT_ROWS || section->op == SCAN_PATCH_ROWS;
        int columns = section->op == SCAN_UPSERT_COLUMNS || section->op == SCAN_PATCH_COLUMNS;
        int patch = section->op == SCAN_PATCH_BY_FILTER;
        for (uint32_t i = 0; rows && i < section->count; i++) {
            uint32_t row = section->first + i;
            for (uint8_t stamp = 0; stamp < 1 + stamp_shard; stamp++) {
                change as = {.values = 1, .comma = 1, .stamp = stamp};
                n += add_change(out + n, cut_of(plan, row, 1, stamp), plan->rows[row].start, as);
            }
        }
        for (uint8_t stamp = 0; columns && stamp < 1 + stamp_shard; stamp++) {
            change as = {.values = section->count, .array = 1, .comma = 1, .stamp = stamp};
            n += add_change(out + n, cut_of(plan, s, 0, stamp), section->open, as);
        }
        if (patch) {
            change as = {.values = 1, .comma = !section->empty};
            n += add_change(out + n, cut_of(plan, s, 0, 0), section->open, as);
        }
    }
    qsort(out, n, sizeof *out, by_place);
    return n;
}

static int eat(cursor *c, const char *literal)
{
    size_t size = strlen(literal);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, literal, size) != 0)
        return 0;
    c->at += size;
    return 1;
}

static int eat_value(cursor *c, const change *what, const stamping *how)
{
    uint64_t value = 0;
    const uint8_t *digits;
    while (what->stamp == SCAN_STAMP_SHARD && eat(c, " "))
        ;
    for (digits = c->at; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        value = value * 10 + (uint64_t)(*c->at - '0');
    if (c->at == digits)
        return 0;
    if (what->stamp == SCAN_STAMP_TIME)
        return value == (uint64_t)how->now_ms;
    return value < (how->shard_count ? how->shard_count : 1);
}

static int eat_stamp(cursor *c, const change *what, const stamping *how)
{
    static const char *const names[] = {"\"_hevlayer_upserted_at\":", "\"_hevlayer_shard\":"};
    if (what->inserted && !eat(c, names[what->stamp]))
        return 0;
    if (what->array && !eat(c, "["))
        return 0;
    for (uint32_t i = 0; i < what->values; i++)
        if ((i && !eat(c, ",")) || !eat_value(c, what, how))
            return 0;
    if (what->array && !eat(c, "]"))
        return 0;
    return !what->inserted || !what->comma || eat(c, ",");
}

/* Whether the stamped bytes are the body, but for good stamps in the right places. */
static int is_body_with_stamps(const uint8_t *stamped, size_t stamped_size, const uint8_t *body,
                               size_t size, const scan_plan *plan, const stamping *how)
{
    size_t room = 2 * ((size_t)plan->rows_count + plan->sections_count) + 1;
    change *changes = malloc(room * sizeof *changes);
    size_t count = list_changes(plan, how->stamp_shard, changes), read = 0;
    cursor c = {stamped, stamped + stamped_size};
    int good = 1;
    for (size_t i = 0; good && i <= count; i++) {
        size_t kept = (i < count ? changes[i].at : size) - read;
        good = (size_t)(c.end - c.at) >= kept && memcmp(c.at, body + read, kept) == 0;
        if (!good)
            break;
        c.at += kept;
        read += kept;
        if (i < count) {
            good = eat_stamp(&c, &changes[i], how);
            read += changes[i].removed;
        }
    }
    free(changes);
    return good && c.at == c.end;
}

#endif
