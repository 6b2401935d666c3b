/* SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include <criterion/criterion.h>
#include <string.h>

static const unsigned char *
key(uint32_t number)
{
    static unsigned char bytes[DIGEST_BYTES];

    memcpy(bytes, &number, sizeof(number));
    return bytes;
}

Test(cache, remembers_for_a_time)
{
    struct cache *cache = cache_new(10, 10000);

    cr_expect_eq(cache_get(cache, key(1), 0), 0);
    cache_put(cache, key(1), 42, 1000);
    cr_expect_eq(cache_get(cache, key(1), 999), 42);
    cr_expect_eq(cache_get(cache, key(2), 0), 0);
    /* A newer answer takes its place. */
    cache_put(cache, key(1), 43, 2000);
    cr_expect_eq(cache_get(cache, key(1), 1999), 43);
    cr_expect_eq(cache_get(cache, key(1), 2000), 0);
    cr_expect_eq(cache_get(cache, key(1), 0), 0, "what is too old is gone");
    cache_put(cache, key(1), 44, 3000);
    cache_reset(cache);
    cr_expect_eq(cache_get(cache, key(1), 0), 0);
    cache_free(cache);
    cache_free(NULL);
}

Test(cache, forgets_what_was_not_used_for_longest)
{
    struct cache *cache = cache_new(3, 10000);

    for (uint32_t i = 1; i <= 3; i++)
        cache_put(cache, key(i), i, 1000);
    cr_expect_eq(cache_get(cache, key(1), 0), 1);
    cache_put(cache, key(2), 22, 1001);
    cache_put(cache, key(4), 4, 1000);
    cr_expect_eq(cache_get(cache, key(3), 0), 0);
    cr_expect_eq(cache_get(cache, key(1), 0), 1);
    cr_expect_eq(cache_get(cache, key(2), 0), 22);
    cr_expect_eq(cache_get(cache, key(4), 0), 4);
    cache_free(cache);
}

static size_t
count_kept(int64_t entries_max, int64_t bytes_max)
{
    struct cache *cache = cache_new(entries_max, bytes_max);
    size_t count = 0;

    for (uint32_t i = 1; i <= 1000; i++)
        cache_put(cache, key(i), i, 1000);
    for (uint32_t i = 1; i <= 1000; i++)
        count += cache_get(cache, key(i), 0) == i;
    cache_free(cache);
    return count;
}

Test(cache, is_bounded_by_entries_and_by_bytes)
{
    cr_expect_eq(count_kept(100, 1000000), 100);
    cr_expect_eq(count_kept(0, 1000000), 0);
    cr_expect_eq(count_kept(100, 0), 0);
    cr_expect_eq(count_kept(100, 10), 0);
    cr_expect_leq(count_kept(1000, 7200) * DIGEST_BYTES, 7200);
    cr_expect_geq(count_kept(1000, 7200), 50);
}
