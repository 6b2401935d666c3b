/* SPDX-License-Identifier: MIT */
#include "submit/http_guard.h"

#include <stdlib.h>

#include "base/lru.h"
#include "base/mem.h"

/* When all failures will have come back, as if each took its time behind the
 * one before: one number says how many are used up now. */
struct suspect {
    struct http_address address; /* the key */
    int64_t clean_ms;
};

struct http_guard {
    struct lru *suspects;
};

struct http_guard *
http_guard_new(void)
{
    struct http_guard *guard = mem_zalloc(1, sizeof(*guard));

    guard->suspects =
        lru_new(HTTP_GUARD_ADDRESSES_MAX, sizeof(struct http_address),
                sizeof(struct suspect));
    return guard;
}

void
http_guard_free(struct http_guard *guard)
{
    if (!guard)
        return;
    lru_free(guard->suspects);
    free(guard);
}

int64_t
http_guard_wait_ms(const struct http_guard *guard,
                   const struct http_address *address, int64_t now_ms)
{
    const struct suspect *suspect = lru_find(guard->suspects, address);
    int64_t most_ms =
        (int64_t)(HTTP_GUARD_FAILURES_MAX - 1) * HTTP_GUARD_FAILURE_MS;

    if (!suspect || suspect->clean_ms - now_ms <= most_ms)
        return 0;
    return suspect->clean_ms - now_ms - most_ms;
}

void
http_guard_failed(struct http_guard *guard, const struct http_address *address,
                  int64_t now_ms)
{
    struct suspect *suspect = lru_find(guard->suspects, address);

    if (!suspect)
        suspect = lru_add(guard->suspects, address);
    lru_touch(guard->suspects, suspect);
    if (suspect->clean_ms < now_ms)
        suspect->clean_ms = now_ms;
    suspect->clean_ms += HTTP_GUARD_FAILURE_MS;
}
