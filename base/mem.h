/*
 * mem.h - memory that is there, or the process is not
 *
 * Out of memory ends the process with a message: what was acknowledged is in
 * the store and leases expire, so a crash is safe, and no caller needs a branch
 * for it. A size that a peer chose is checked against its limit before it gets
 * here. What these return is freed with free().
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* `count` zeroed elements of `bytes` each. Never NULL, not even for none. */
void *mem_zalloc(size_t count, size_t bytes)
    __attribute__((returns_nonnull, warn_unused_result));

/* Resizes to `count` elements; new ones are not zeroed. block may be NULL. */
void *mem_grow(void *block, size_t count, size_t bytes)
    __attribute__((returns_nonnull, warn_unused_result));

/* A copy of `bytes` bytes with a NUL behind them, for the caller to free. */
char *mem_dup(const void *data, size_t bytes)
    __attribute__((returns_nonnull, warn_unused_result));

/* A copy of a string, for the caller to free. NULL gives NULL. */
char *mem_dup_str(const char *str) __attribute__((warn_unused_result));

#endif
