/* Memory beyond what is there at the start. Others may grow the same memory, so a piece need not follow the last. */

#include "door.h"

#define PAGE 65536u
#define AT_LEAST 16u

static uint32_t start, at, end;

EXPORT("realloc") void *arena_realloc(void *old, uint32_t old_size, uint32_t alignment, uint32_t size)
{
    uint32_t place = (at + 7) & ~7u;
    if (place > end || end - place < size) {
        uint32_t pages = size / PAGE + 1;
        if (pages < AT_LEAST)
            pages = AT_LEAST;
        uint32_t grown = __builtin_wasm_memory_grow(0, pages);
        if (grown == UINT32_MAX)
            __builtin_trap();
        if (end == 0 || grown * PAGE != end)
            start = place = grown * PAGE;
        end = (grown + pages) * PAGE;
    }
    at = place + size;
    __builtin_memcpy((void *)place, old, old_size < size ? old_size : size);
    return (void *)place;
}

EXPORT("reset") void arena_reset(void)
{
    at = start;
}
