/* All of it, for one translation unit: the splicer, the scanner for this processor: the walk compiled for each instruction set, and the choice between them. */
#ifndef HEVFAST_SCAN_ALL_H
#define HEVFAST_SCAN_ALL_H

#include "scan.h"
#include "skip_portable.h"
#include "walk_rules.h"
#include "splice.h"
#include "mirror_row.h"

#define WALK(name) portable_walk_##name
#define SAME portable_same
#define SKIP_TEXT portable_skip_text
#define SKIP_SPACE portable_skip_space
#define SKIP_DIGITS portable_skip_digits
#define SKIP_NUMBERS portable_skip_numbers
#include "walk.h"
#include "walk_body.h"
#include "mirror.h"
#undef WALK
#undef SAME
#undef SKIP_TEXT
#undef SKIP_SPACE
#undef SKIP_DIGITS
#undef SKIP_NUMBERS

#if defined(__x86_64__) && defined(__GNUC__)
#define SCAN_HAS_AVX2 1
/* From here on every function is compiled for AVX2 with BMI; scan_body calls them only where the processor has both. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif
#include "skip_avx2.h"
#define WALK(name) avx2_walk_##name
#define SAME avx2_same
#define SKIP_TEXT avx2_skip_text
#define SKIP_SPACE avx2_skip_space
#define SKIP_DIGITS avx2_skip_digits
#define SKIP_NUMBERS avx2_skip_numbers
#include "walk.h"
#include "walk_body.h"
#include "mirror.h"
#undef WALK
#undef SAME
#undef SKIP_TEXT
#undef SKIP_SPACE
#undef SKIP_DIGITS
#undef SKIP_NUMBERS
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

static int scan_has_avx2(void) {
#ifdef SCAN_HAS_AVX2
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
    return 0;
#endif
}

/* Reads a body of at most SCAN_BODY_MAX bytes into *plan. Returns the fault's kind, SCAN_OK if there is none; the
 * plan must be released either way. */
static int scan_body(const uint8_t *body, size_t size, const scan_options *options, scan_plan *plan) {
    memset(plan, 0, sizeof *plan);
    plan->fault.row = -1;
    plan->fault.op = SCAN_KEY_UNKNOWN;
    walk w;
    w.body = body;
    w.end = body + size;
    w.plan = plan;
    w.options = options;
    w.op = SCAN_KEY_UNKNOWN;
    w.row = -1;
    w.memos_count = 0;
#ifdef SCAN_HAS_AVX2
    if (!options->portable && scan_has_avx2())
        avx2_walk_body(&w);
    else
#endif
        portable_walk_body(&w);
    return (int)plan->fault.kind;
}

/* Sets up a walk over a body that was scanned already; `ignored` takes faults, of which there are none that matter. */
static void mirror_walk(walk *w, const splice_state *s, const scan_section *section, scan_plan *ignored) {
    w->body = s->body;
    w->end = s->body + s->size;
    w->plan = ignored;
    w->op = section->op;
    w->row = -1;
}

/* Mirrors the next row of a section: of a rows form by its index, of a columns form by the cursors. Returns 0 if it
 * cannot be mirrored. */
static int mirror_next(const splice_state *s, const scan_section *section, uint32_t index, mirror_cursors *cursors,
                       mirror_row *row) {
    scan_plan ignored;
    walk w;
    int good;
    mirror_walk(&w, s, section, &ignored);
    row->size = 0;
#ifdef SCAN_HAS_AVX2
    if (scan_has_avx2())
        good = splice_is_rows(section) ? avx2_walk_mirror_object(&w, &s->plan->rows[index], row)
                                       : avx2_walk_mirror_elements(&w, cursors, row);
    else
#endif
        good = splice_is_rows(section) ? portable_walk_mirror_object(&w, &s->plan->rows[index], row)
                                       : portable_walk_mirror_elements(&w, cursors, row);
    if (good) mirror_close(row, s, index);
    return good;
}

/* Sets cursors on the columns of a columns form. Returns 0 if out of memory. */
static int mirror_open(const splice_state *s, const scan_section *section, mirror_cursors *cursors) {
    scan_plan ignored;
    walk w;
    mirror_walk(&w, s, section, &ignored);
    cursors->count = 0;
#ifdef SCAN_HAS_AVX2
    if (scan_has_avx2()) return avx2_walk_mirror_columns_open(&w, section, cursors);
#endif
    return portable_walk_mirror_columns_open(&w, section, cursors);
}

static void scan_release(scan_plan *plan) {
    free(plan->rows);
    free(plan->cuts);
    plan->rows = NULL;
    plan->cuts = NULL;
}

#endif
