/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void *
mem_zalloc(size_t count, size_t bytes)
{
    void *block = calloc(count ? count : 1, bytes ? bytes : 1);

    if (!block)
        log_fatal("event=out_of_memory count=%zu bytes=%zu", count, bytes);
    return block;
}

void *
mem_grow(void *block, size_t count, size_t bytes)
{
    if (bytes && count > SIZE_MAX / bytes)
        log_fatal("event=out_of_memory count=%zu bytes=%zu", count, bytes);
    block = realloc(block, count && bytes ? count * bytes : 1);
    if (!block)
        log_fatal("event=out_of_memory count=%zu bytes=%zu", count, bytes);
    return block;
}

char *
mem_dup(const void *data, size_t bytes)
{
    char *copy = mem_grow(NULL, bytes + 1, 1);

    if (bytes)
        memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *
mem_dup_str(const char *str)
{
    return str ? mem_dup(str, strlen(str)) : NULL;
}
