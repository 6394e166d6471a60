/* Fuzzes the scanner and the splicer: scan_fuzz SEED EXECUTIONS SECONDS [CORPUS FILE...].
 *
 * Each body lies in a block of its exact size, so that AddressSanitizer sees a byte read too many. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_bodies.h"
#include "fuzz_unstamp.h"

/* Without progress for so long, an execution hangs: the slowest takes milliseconds. */
#define HANG_S 10

void __sanitizer_set_death_callback(void (*callback)(void));

static uint64_t execution_seed, executions, executions_at_alarm;
static uint64_t outcomes[SCAN_NO_MEMORY + 1];
static const char *execution_file;
static const uint8_t *current_body;
static size_t current_size;

/* Tells what is needed to see the failure again. */
static void report(void)
{
    printf("\nbody of %zu bytes: ", current_size);
    for (size_t i = 0; i < current_size; i++)
        printf("%02x", current_body[i]);
    printf("\nescaped: ");
    for (size_t i = 0; i < current_size; i++) {
        uint8_t byte = current_body[i];
        printf(byte < 0x20 || byte > 0x7e || byte == '\\' ? "\\x%02x" : "%c", byte);
    }
    if (execution_file)
        printf("\nfrom %s", execution_file);
    printf("\nrepeat: python -m tests.fuzz scan --seed %" PRIu64 " --executions 1\n", execution_seed);
    fflush(stdout);
}

static void fail(const char *why)
{
    printf("FAILED: %s\n", why);
    report();
    _exit(1);
}

static void on_alarm(int signal)
{
    (void)signal;
    if (executions == executions_at_alarm)
        fail("the execution hangs");
    executions_at_alarm = executions;
}

static void check_same(const scan_plan *a, const scan_plan *b)
{
    const scan_fault *f = &a->fault, *g = &b->fault;
    if (f->kind != g->kind || f->offset != g->offset || f->row != g->row || f->op != g->op ||
        f->key_start != g->key_start || f->key_end != g->key_end)
        fail("the forms differ in the fault");
    if (f->kind != SCAN_OK)
        return;
    if (a->keys != b->keys || a->schema_reserved != b->schema_reserved ||
        memcmp(a->value_start, b->value_start, sizeof a->value_start) != 0 ||
        memcmp(a->value_end, b->value_end, sizeof a->value_end) != 0)
        fail("the forms differ in the keys");
    if (a->sections_count != b->sections_count ||
        memcmp(a->sections, b->sections, a->sections_count * sizeof *a->sections) != 0)
        fail("the forms differ in the sections");
    if (a->rows_count != b->rows_count ||
        (a->rows_count && memcmp(a->rows, b->rows, a->rows_count * sizeof *a->rows) != 0))
        fail("the forms differ in the rows");
    if (a->cuts_count != b->cuts_count ||
        (a->cuts_count && memcmp(a->cuts, b->cuts, a->cuts_count * sizeof *a->cuts) != 0))
        fail("the forms differ in the cuts");
}

/* Every span lies in the body; what the stamps and the mirror rely on holds. */
static void check_plan(const scan_plan *plan, const uint8_t *body, size_t size)
{
    if (plan->fault.kind != SCAN_OK) {
        if (plan->fault.offset > size || plan->fault.key_start > plan->fault.key_end ||
            plan->fault.key_end > size)
            fail("the fault lies outside of the body");
        return;
    }
    for (uint32_t i = 0; i < plan->rows_count; i++) {
        const scan_row *row = &plan->rows[i];
        if (row->id_start >= row->id_end || row->id_end > size || row->end > size)
            fail("a row lies outside of the body");
        if (row->end && (row->start >= row->id_start || row->id_end >= row->end ||
                         body[row->start] != '{' || body[row->end - 1] != '}'))
            fail("a row is not an object around its id");
    }
    for (uint32_t i = 0; i < plan->cuts_count; i++)
        if (plan->cuts[i].start >= plan->cuts[i].end || plan->cuts[i].end > size)
            fail("a cut lies outside of the body");
}

/* Splices through windows of random size; each window is a block of its own. */
static void check_splice(const scan_plan *plan, const uint8_t *body, size_t size, dice *d)
{
    static const uint32_t shard_counts[] = {0, 1, 2, 10, 16, 101, 65536, UINT32_MAX};
    stamping how = {one_in(d, 4) ? below(d, 10) : 1764000000123, shard_counts[below(d, 8)], !one_in(d, 4)};
    size_t by_reference_min = one_in(d, 2) ? SIZE_MAX / 2 : 1 + below(d, 300);
    splice_state state;
    splice_begin(&state, body, size, plan, how.now_ms, how.shard_count, how.stamp_shard);
    size_t told = (size_t)splice_size(&state), total = 0;
    uint8_t *stamped = malloc(told + 1);
    for (int code = SPLICE_FULL; code != SPLICE_DONE;) {
        size_t cap = 128 + below(d, one_in(d, 4) ? 4096 : 128), used = 0, start = 0, length = 0;
        uint8_t *window = malloc(cap);
        code = splice_fill(&state, window, cap, by_reference_min, &used, &start, &length);
        if (used > cap || used > told - total)
            fail("splice_fill writes more than it may");
        memcpy(stamped + total, window, used);
        free(window);
        total += used;
        if (code == SPLICE_REFERENCE) {
            if (length == 0 || start > size || length > size - start || length > told - total)
                fail("splice_fill returns a bad reference");
            memcpy(stamped + total, body + start, length);
            total += length;
        } else if (code != SPLICE_DONE && (code != SPLICE_FULL || used == 0)) {
            fail("splice_fill makes no progress");
        }
    }
    if (total != told)
        fail("splice_size told another size");
    if (!is_body_with_stamps(stamped, total, body, size, plan, &how))
        fail("the stamped body without its stamps is not the body");
    free(stamped);
}

static void execute(const uint8_t *bytes, size_t size, dice *d)
{
    /* Half of the blocks start at odd places: what precedes the body there is not its own. */
    size_t before = one_in(d, 2) ? below(d, 64) : 0;
    uint8_t *block = malloc(before + size), *body = block + before;
    memset(block, '"', before);
    memcpy(body, bytes, size);
    current_body = body;
    current_size = size;
    scan_options options = {.overwrite = (uint32_t)one_in(d, 2), .rows_max = UINT32_MAX, .portable = 1};
    if (one_in(d, 16))
        options.rows_max = below(d, 4);
    scan_plan portable, avx2;
    memset(&portable, 0xA5, sizeof portable);
    memset(&avx2, 0x5A, sizeof avx2);
    int kind = scan_body(body, size, &options, &portable);
    options.portable = 0;
    if (scan_body(body, size, &options, &avx2) != kind || kind != (int)portable.fault.kind)
        fail("the forms return different kinds");
    check_same(&portable, &avx2);
    check_plan(&avx2, body, size);
    if (kind == SCAN_OK)
        check_splice(&avx2, body, size, d);
    scan_release(&portable);
    scan_release(&avx2);
    free(block);
    outcomes[kind]++;
    executions++;
}

static void execute_seed(uint64_t seed)
{
    static text body;
    dice d = {seed};
    execution_seed = seed;
    body.size = 0;
    if (one_in(&d, 6))
        put_soup(&body, &d);
    else
        put_write(&body, &d);
    for (uint32_t mutations = one_in(&d, 3) ? 0 : 1 + below(&d, 2); mutations; mutations--)
        mutate(&body, &d);
    execute(body.bytes, body.size, &d);
}

/* A kept body in all the ways that an execution may take it, whole and cut short. */
static void execute_file(const char *path)
{
    static text body;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail(path);
    body.size = fread(body.bytes, 1, TEXT_BYTES_MAX, file);
    fclose(file);
    execution_file = path;
    size_t step = 1 + body.size / 512;
    for (size_t size = body.size % step; size <= body.size; size += step)
        for (uint64_t seed = 0; seed < 8; seed++) {
            dice d = {seed};
            execute(body.bytes, size, &d);
        }
    execution_file = NULL;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void print_outcomes(void)
{
    printf("%" PRIu64 " good writes; faults", outcomes[SCAN_OK]);
    for (int kind = 1; kind < SCAN_NO_MEMORY; kind++)
        if (outcomes[kind])
            printf(" %d:%" PRIu64, kind, outcomes[kind]);
    printf("\n");
}

int main(int count, char **arguments)
{
    if (count < 4)
        return 2;
    uint64_t seed = strtoull(arguments[1], NULL, 10), wanted = strtoull(arguments[2], NULL, 10);
    double seconds = strtod(arguments[3], NULL), begun = seconds_now();
    struct itimerval interval = {{HANG_S, 0}, {HANG_S, 0}};
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    __sanitizer_set_death_callback(report);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &interval, NULL);
    for (int i = 4; i < count; i++)
        execute_file(arguments[i]);
    uint64_t replayed = executions;
    for (uint64_t i = 0; wanted == 0 || i < wanted; i++) {
        execute_seed(seed + i);
        if (wanted == 0 && i % 1024 == 0 && seconds_now() - begun >= seconds)
            break;
    }
    print_outcomes();
    double took = seconds_now() - begun;
    printf("%" PRIu64 " executions, %" PRIu64 " of them kept bodies, in %.1f s: %.0f a second\n",
           executions, replayed, took, (double)executions / took);
    return 0;
}
