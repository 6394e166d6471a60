/* Calls Python back, and has callgrind count only what is done in there. */
#include <valgrind/callgrind.h>

void guard_around(void (*work)(void));

void guard_around(void (*work)(void)) {
    CALLGRIND_TOGGLE_COLLECT;
    work();
    CALLGRIND_TOGGLE_COLLECT;
}
