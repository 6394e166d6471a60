/* Scans and splices one body, with everything that is to be counted inside guard_measured. */
#include <stdio.h>

#include "scan_all.h"

#define STEP (256 * 1024)

__attribute__((noinline)) uint64_t guard_measured(const uint8_t *body, size_t size, uint32_t portable, uint8_t *out) {
    scan_options options = {0, 1u << 22, portable};
    scan_plan plan;
    uint64_t written = 0;
#ifdef GUARD_PLANTED
    /* One look at each byte more than there should be. */
    if (memchr(body, 0, size)) return 0;
#endif
    if (scan_body(body, size, &options, &plan) == SCAN_OK) {
        splice_state state;
        enum splice_outcome outcome;
        splice_begin(&state, body, size, &plan, 1700000000000, 16, 1);
        do {
            size_t used, ref_start, ref_size = 0;
            outcome = splice_fill(&state, out, STEP, 4096, &used, &ref_start, &ref_size);
            written += used + (outcome == SPLICE_REFERENCE ? ref_size : 0);
        } while (outcome != SPLICE_DONE);
        if (written != splice_size(&state)) written = 0;
    }
    scan_release(&plan);
    return written;
}

/* drive FILE PORTABLE: prints the size of the stamped body. */
int main(int count, char **words) {
    FILE *file = count == 3 ? fopen(words[1], "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END)) return 2;
    size_t size = (size_t)ftell(file);
    uint8_t *body = malloc(size), *out = malloc(STEP);
    rewind(file);
    if (!body || !out || fread(body, 1, size, file) != size) return 2;
    printf("%llu\n", (unsigned long long)guard_measured(body, size, (uint32_t)atoi(words[2]), out));
    fclose(file);
    free(body);
    free(out);
    return 0;
}
