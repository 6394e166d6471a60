/* The stamped body, made piece by piece from the client's bytes and a plan; no second whole body is ever held.
 *
 * Stamps go in at places in the body's order ("events"): after the brace of a row, of a columns object or of a patch,
 * and in place of a value that the client sent itself ("cuts"). Between two events the client's bytes go out as they
 * are. README.md, "Stamping", gives the text. */
#ifndef HEVFAST_SPLICE_H
#define HEVFAST_SPLICE_H

#include "scan.h"
#include "walk_rules.h"
#include "xxh64.h"

/* Room that splice_fill asks for at least: the longest stamp of one row is 24 + 20 + 18 + 10 + 2 = 74 bytes. */
#define SPLICE_ATOM_MAX 128

#define SPLICE_PARTS_MAX 10

#define SPLICE_TIME_KEY "\"_hevlayer_upserted_at\":"
#define SPLICE_SHARD_KEY "\"_hevlayer_shard\":"
#define SPLICE_TIME_KEY_SIZE 24
#define SPLICE_SHARD_KEY_SIZE 18

enum splice_outcome { SPLICE_FULL, SPLICE_REFERENCE, SPLICE_DONE };

/* What one event puts in, in order: for columns two times key, bracket, values, bracket and comma. */
enum splice_part_kind { SPLICE_TEXT, SPLICE_TIMES, SPLICE_SHARDS };

typedef struct {
    enum splice_part_kind kind;
    const char *text;
    uint32_t size;         /* bytes of text */
    uint32_t first, count; /* rows of an array */
} splice_part;

typedef struct splice_state {
    const uint8_t *body;
    const scan_plan *plan;
    size_t size;
    uint64_t total;
    uint32_t shard_count, shard_width, stamp_shard;

    char time[24], row[96]; /* the time's digits; a row's stamp up to its shard */
    uint32_t time_size, row_size;

    /* The next event: client bytes up to `at`, then the parts, then client bytes from `skip`. */
    size_t pos, at, skip;
    /* A demand for affected ids that the client did not make: its text in place of [ids_at, ids_skip), 0: none left. */
    size_t ids_at, ids_skip;
    const char *ids_text;
    uint32_t section, in_section, cut;
    uint32_t row_event; /* the event is one row's whole stamp: no parts, the row's index + 1 */
    uint32_t parts_count, part, item;
    splice_part parts[SPLICE_PARTS_MAX];
} splice_state;

/* Ids and shards */

/* Feeds an id's text with its escapes resolved, in UTF-8; half a surrogate pair becomes its three-byte form. */
static void splice_feed_escaped(xxh64_state *hash, const uint8_t *p, const uint8_t *end) {
    static const char LETTERS[] = "\"\\/bfnrt", MEANS[] = "\"\\/\b\f\n\r\t";
    while (p < end) {
        const uint8_t *plain = p;
        while (p < end && *p != '\\') p++;
        if (p > plain) xxh64_feed(hash, plain, (size_t)(p - plain));
        if (p == end) return;
        uint8_t text[4];
        size_t size = 0;
        if (p[1] != 'u') {
            text[size++] = (uint8_t)MEANS[strchr(LETTERS, p[1]) - LETTERS];
            p += 2;
        } else {
            uint32_t code = 0;
            for (int i = 2; i < 6; i++) code = code << 4 | (uint32_t)walk_hex(p[i]);
            p += 6;
            if (code >= 0xD800 && code < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
                uint32_t low = 0;
                for (int i = 2; i < 6; i++) low = low << 4 | (uint32_t)walk_hex(p[i]);
                if (low >= 0xDC00 && low < 0xE000) {
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    p += 6;
                }
            }
            if (code < 0x80) {
                text[size++] = (uint8_t)code;
            } else {
                int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
                static const uint8_t LEAD[] = {0, 0xC0, 0xE0, 0xF0};
                text[size++] = (uint8_t)(LEAD[more] | code >> 6 * more);
                while (more--) text[size++] = (uint8_t)(0x80 | (code >> 6 * more & 0x3F));
            }
        }
        xxh64_feed(hash, text, size);
    }
}

/* xxh64 of an id's text: a string's with its escapes resolved, a number's as spelled. */
static uint64_t splice_id_hash(const uint8_t *body, const scan_row *row) {
    const uint8_t *id = body + row->id_start, *end = body + row->id_end;
    if (*id != '"') return xxh64(id, (size_t)(end - id));
    id++;
    end--;
    if (!memchr(id, '\\', (size_t)(end - id))) return xxh64(id, (size_t)(end - id));
    xxh64_state hash;
    xxh64_begin(&hash);
    splice_feed_escaped(&hash, id, end);
    return xxh64_finish(&hash);
}

static uint32_t splice_shard(const splice_state *s, const scan_row *row) {
    return s->shard_count ? (uint32_t)(splice_id_hash(s->body, row) % s->shard_count) : 0;
}

/* Writes a shard number, padded with spaces on the left to the width of the largest one. */
static inline uint32_t splice_write_shard(const splice_state *s, uint32_t row, uint8_t *out) {
    uint32_t shard = splice_shard(s, &s->plan->rows[row]), at = s->shard_width;
    do out[--at] = (uint8_t)('0' + shard % 10);
    while (shard /= 10);
    while (at) out[--at] = ' ';
    return s->shard_width;
}

/* Events */

static void splice_text(splice_state *s, const char *text, uint32_t size) {
    splice_part part = {SPLICE_TEXT, text, size, 0, 0};
    s->parts[s->parts_count++] = part;
}

static void splice_array(splice_state *s, enum splice_part_kind kind, uint32_t first, uint32_t count) {
    splice_part part = {kind, NULL, 0, first, count};
    s->parts[s->parts_count++] = part;
}

#define SPLICE_LITERAL(s, text) splice_text(s, text, sizeof(text) - 1)

/* One stamp's value for rows first.. (an array for columns, one value for a row or a patch). */
static void splice_value(splice_state *s, enum scan_stamp stamp, uint32_t first, uint32_t count, int array) {
    if (array) SPLICE_LITERAL(s, "[");
    if (stamp == SCAN_STAMP_TIME && !array)
        splice_text(s, s->time, s->time_size);
    else
        splice_array(s, stamp == SCAN_STAMP_TIME ? SPLICE_TIMES : SPLICE_SHARDS, first, count);
    if (array) SPLICE_LITERAL(s, "]");
}

/* Whether this cut belongs to the row or section. Cuts are in the body's order, so the next ones are looked at. */
static int splice_has_cut(const splice_state *s, uint32_t of_row, uint32_t owner, enum scan_stamp stamp) {
    for (uint32_t i = s->cut; i < s->plan->cuts_count && i < s->cut + 2; i++) {
        const scan_cut *cut = &s->plan->cuts[i];
        if (cut->of_row == of_row && cut->owner == owner && cut->stamp == (uint32_t)stamp) return 1;
    }
    return 0;
}

/* Puts both stamps, less those that the client has in place, in front of the first member. */
static void splice_members(splice_state *s, uint32_t of_row, uint32_t owner, const scan_section *section,
                           uint32_t first, uint32_t count) {
    int array = section->op == SCAN_UPSERT_COLUMNS || section->op == SCAN_PATCH_COLUMNS;
    if (!splice_has_cut(s, of_row, owner, SCAN_STAMP_TIME)) {
        splice_text(s, SPLICE_TIME_KEY, SPLICE_TIME_KEY_SIZE);
        splice_value(s, SCAN_STAMP_TIME, first, count, array);
        if (!section->empty) SPLICE_LITERAL(s, ",");
    }
    if (s->stamp_shard && section->op != SCAN_PATCH_BY_FILTER &&
        !splice_has_cut(s, of_row, owner, SCAN_STAMP_SHARD)) {
        splice_text(s, SPLICE_SHARD_KEY, SPLICE_SHARD_KEY_SIZE);
        splice_value(s, SCAN_STAMP_SHARD, first, count, array);
        SPLICE_LITERAL(s, ",");
    }
}

static int splice_is_rows(const scan_section *section) {
    return section->op == SCAN_UPSERT_ROWS || section->op == SCAN_PATCH_ROWS;
}

/* Finds the next row or object to stamp. Returns 0 if there is none left. */
static int splice_next_insertion(const splice_state *s, uint32_t *section_at, uint32_t *row, size_t *at) {
    for (uint32_t i = s->section; i < s->plan->sections_count; i++) {
        const scan_section *section = &s->plan->sections[i];
        uint32_t in_section = i == s->section ? s->in_section : 0;
        uint32_t count = splice_is_rows(section) ? section->count : section->op != SCAN_DELETES;
        if (in_section == count) continue;
        *section_at = i;
        *row = section->first + in_section;
        *at = (size_t)(splice_is_rows(section) ? s->plan->rows[*row].start : section->open) + 1;
        return 1;
    }
    return 0;
}

/* Replaces the client's own stamp. Without shard stamps its shard stays as it is. */
static void splice_cut_event(splice_state *s) {
    const scan_cut *cut = &s->plan->cuts[s->cut++];
    s->at = cut->start;
    s->skip = cut->end;
    if (cut->stamp == SCAN_STAMP_SHARD && !s->stamp_shard) {
        s->skip = s->at;
        return;
    }
    if (cut->of_row) {
        splice_value(s, (enum scan_stamp)cut->stamp, cut->owner, 1, 0);
        return;
    }
    const scan_section *section = &s->plan->sections[cut->owner];
    int array = section->op != SCAN_PATCH_BY_FILTER;
    splice_value(s, (enum scan_stamp)cut->stamp, section->first, section->count, array);
}

/* Puts the demand for affected ids where the next event is, if it comes before `at`. */
static int splice_ids_event(splice_state *s, size_t at) {
    if (!s->ids_at || s->ids_at > at) return 0;
    s->at = s->ids_at;
    s->skip = s->ids_skip;
    s->ids_at = 0;
    splice_text(s, s->ids_text, (uint32_t)strlen(s->ids_text));
    return 1;
}

/* Sets up the next event, or at = the body's end when none is left. */
static void splice_next(splice_state *s) {
    uint32_t section_at = 0, row = 0;
    size_t at = 0;
    s->parts_count = s->part = s->item = s->row_event = 0;
    int insertion = splice_next_insertion(s, &section_at, &row, &at);
    int cut = s->cut < s->plan->cuts_count && (!insertion || s->plan->cuts[s->cut].start < at);
    if (splice_ids_event(s, cut ? s->plan->cuts[s->cut].start : insertion ? at : s->size)) return;
    if (cut) {
        splice_cut_event(s);
        return;
    }
    if (!insertion) {
        s->at = s->skip = s->size;
        return;
    }
    const scan_section *section = &s->plan->sections[section_at];
    s->in_section = section_at == s->section ? s->in_section + 1 : 1;
    s->section = section_at;
    s->at = s->skip = at;
    if (!splice_is_rows(section))
        splice_members(s, 0, section_at, section, section->first, section->count);
    else if (s->plan->cuts_count)
        splice_members(s, 1, row, section, row, 1);
    else
        s->row_event = row + 1;
}

/* The same for the row after this one, which nearly every event is. Returns 0 if splice_next must look. */
static inline int splice_next_row(splice_state *s) {
    const scan_section *section = &s->plan->sections[s->section];
    if (s->ids_at || s->plan->cuts_count || s->in_section == section->count || !splice_is_rows(section)) return 0;
    uint32_t row = section->first + s->in_section++;
    s->at = s->skip = (size_t)s->plan->rows[row].start + 1;
    s->row_event = row + 1;
    return 1;
}

/* Writing */

/* Writes one event's part; returns 0 if the room ran out. Array items are written whole, so `item` is where to go on. */
static int splice_write_part(splice_state *s, uint8_t *out, size_t cap, size_t *used) {
    const splice_part *part = &s->parts[s->part];
    if (cap - *used < SPLICE_ATOM_MAX) return 0;
    if (part->kind == SPLICE_TEXT) {
        memcpy(out + *used, part->text, part->size);
        *used += part->size;
        return 1;
    }
    for (; s->item < part->count; s->item++) {
        if (cap - *used < SPLICE_ATOM_MAX) return 0;
        if (s->item) out[(*used)++] = ',';
        if (part->kind == SPLICE_TIMES) {
            memcpy(out + *used, s->time, s->time_size);
            *used += s->time_size;
        } else {
            *used += splice_write_shard(s, part->first + s->item, out + *used);
        }
    }
    s->item = 0;
    return 1;
}

static int splice_write_event(splice_state *s, uint8_t *out, size_t cap, size_t *used) {
    if (s->row_event) {
        if (cap - *used < SPLICE_ATOM_MAX) return 0;
        memcpy(out + *used, s->row, s->row_size);
        *used += s->row_size;
        if (s->stamp_shard) {
            *used += splice_write_shard(s, s->row_event - 1, out + *used);
            out[(*used)++] = ',';
        }
        s->row_event = 0;
    }
    for (; s->part < s->parts_count; s->part++)
        if (!splice_write_part(s, out, cap, used)) return 0;
    return 1;
}

/* Writes up to cap bytes of the stamped body to out; cap is at least SPLICE_ATOM_MAX. A run of client bytes of
 * at least by_reference_min (1 or more) is not copied: SPLICE_REFERENCE says that after the *used bytes body[*ref_start ..
 * +*ref_size] follow. SPLICE_FULL: call again with fresh room. */
static enum splice_outcome splice_fill(splice_state *s, uint8_t *out, size_t cap, size_t by_reference_min, size_t *used,
                                       size_t *ref_start, size_t *ref_size) {
    *used = 0;
    for (;;) {
        size_t gap = s->at - s->pos;
        if (gap >= by_reference_min) {
            *ref_start = s->pos;
            *ref_size = gap;
            s->pos = s->at;
            return SPLICE_REFERENCE;
        }
        size_t take = gap < cap - *used ? gap : cap - *used;
        memcpy(out + *used, s->body + s->pos, take);
        *used += take;
        s->pos += take;
        if (take < gap) return SPLICE_FULL;
        if (s->at == s->size) return SPLICE_DONE;
        if (!splice_write_event(s, out, cap, used)) return SPLICE_FULL;
        s->pos = s->skip;
        if (!splice_next_row(s)) splice_next(s);
    }
}

/* Beginning */

static uint32_t splice_digits(uint64_t number) {
    uint32_t digits = 1;
    while (number /= 10) digits++;
    return digits;
}

static void splice_row_append(splice_state *s, const char *text, uint32_t size) {
    memcpy(s->row + s->row_size, text, size);
    s->row_size += size;
}

/* Bytes that the events of all rows and sections add or take. */
static int64_t splice_added(const splice_state *s) {
    const int64_t time_key = SPLICE_TIME_KEY_SIZE, shard_key = SPLICE_SHARD_KEY_SIZE;
    int64_t added = 0, time = s->time_size, shard = s->shard_width;
    for (uint32_t i = 0; i < s->plan->sections_count; i++) {
        const scan_section *section = &s->plan->sections[i];
        int64_t count = section->count;
        if (splice_is_rows(section)) {
            added += count * (time_key + time + 1);
            if (s->stamp_shard) added += count * (shard_key + shard + 1);
        } else if (section->op == SCAN_PATCH_BY_FILTER) {
            added += time_key + time + !section->empty;
        } else if (section->op != SCAN_DELETES) {
            /* n values have n - 1 commas between them, two brackets around them and a comma after. */
            added += time_key + count * (time + 1) + 2;
            if (s->stamp_shard) added += shard_key + count * (shard + 1) + 2;
        }
    }
    for (uint32_t i = 0; i < s->plan->cuts_count; i++) {
        const scan_cut *cut = &s->plan->cuts[i];
        if (cut->stamp == SCAN_STAMP_SHARD && !s->stamp_shard) continue;
        /* The member was counted above as put in; it is not: only its value is, in place of the client's. */
        added -= (cut->stamp == SCAN_STAMP_TIME ? time_key : shard_key) + 1 + (int64_t)(cut->end - cut->start);
    }
    return added;
}

/* Sets up the splicing of a plan without fault. now_ms: the stamp, milliseconds since the epoch, not negative. */
static void splice_begin(splice_state *s, const uint8_t *body, size_t size, const scan_plan *plan, int64_t now_ms,
                         uint32_t shard_count, int stamp_shard) {
    memset(s, 0, sizeof *s);
    s->body = body;
    s->size = size;
    s->plan = plan;
    s->shard_count = shard_count;
    s->shard_width = splice_digits(shard_count ? shard_count - 1 : 0);
    s->stamp_shard = stamp_shard != 0;
    s->time_size = splice_digits((uint64_t)now_ms);
    for (uint32_t at = s->time_size; at; now_ms /= 10) s->time[--at] = (char)('0' + now_ms % 10);
    splice_row_append(s, SPLICE_TIME_KEY, SPLICE_TIME_KEY_SIZE);
    splice_row_append(s, s->time, s->time_size);
    splice_row_append(s, ",", 1);
    if (stamp_shard) splice_row_append(s, SPLICE_SHARD_KEY, SPLICE_SHARD_KEY_SIZE);
    s->total = (uint64_t)((int64_t)size + splice_added(s));
    splice_next(s);
}

/* Asks for affected ids in a body that does not: sets `return_affected_ids` to true, adding it if it is not there.
 * Called between splice_begin and the first splice_fill. */
static void splice_force_ids(splice_state *s) {
    const scan_plan *plan = s->plan;
    if (plan->keys >> SCAN_RETURN_AFFECTED_IDS & 1) {
        s->ids_at = plan->value_start[SCAN_RETURN_AFFECTED_IDS];
        s->ids_skip = plan->value_end[SCAN_RETURN_AFFECTED_IDS];
        s->ids_text = "true";
    } else {
        s->ids_at = (size_t)((const uint8_t *)memchr(s->body, '{', s->size) - s->body) + 1;
        s->ids_skip = s->ids_at;
        s->ids_text = "\"return_affected_ids\":true,";
    }
    s->total += strlen(s->ids_text) - (s->ids_skip - s->ids_at);
    /* The first event was set up without it. */
    s->section = s->in_section = s->cut = 0;
    splice_next(s);
}

static uint64_t splice_size(const splice_state *s) { return s->total; }

#endif
