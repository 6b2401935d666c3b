/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/rows.h"

#define NUMBER_AT 8 /* place in the key */

static struct key
key_attempt(uint64_t request, uint32_t number)
{
    return key_u32(key_id(request), number);
}

/* How many there have been: the number of the newest. */
static uint32_t
count_attempts(struct store *store, uint64_t request)
{
    struct slice found;

    if (table_before(store, TABLE_ATTEMPT, key_attempt(request, UINT32_MAX),
                     NUMBER_AT, &found, NULL) < 0) {
        return 0;
    }
    return key_get_u32(found, NUMBER_AT);
}

void
store_attempt_add(struct store *store, uint64_t request,
                  const struct attempt *attempt)
{
    uint32_t number = count_attempts(store, request) + 1;

    assert(attempt->wait_from.bytes <= ATTEMPT_TEXT_BYTES_MAX);
    assert(attempt->code.bytes <= ATTEMPT_TEXT_BYTES_MAX);
    assert(attempt->worker.bytes <= ATTEMPT_TEXT_BYTES_MAX);
    assert(attempt->upstream.bytes <= ATTEMPT_TEXT_BYTES_MAX);
    attempt_encode(attempt, table_fields(store));
    table_put(store, TABLE_ATTEMPT, key_attempt(request, number));
    if (number > STORE_ATTEMPTS_MAX) {
        table_del(store, TABLE_ATTEMPT,
                  key_attempt(request, number - STORE_ATTEMPTS_MAX));
    }
}

int
store_attempt_before(struct store *store, uint64_t request, uint32_t number,
                     struct attempt *attempt)
{
    struct slice found;
    struct record record;
    int rc = table_before(store, TABLE_ATTEMPT, key_attempt(request, number),
                          NUMBER_AT, &found, &record);

    if (rc == 0 || rc == E_CORRUPT)
        *attempt = (struct attempt){ .number = key_get_u32(found, NUMBER_AT) };
    return rc < 0 ? rc : attempt_decode(&record, attempt);
}

void
attempts_drop(struct store *store, uint64_t request)
{
    struct slice found;

    while (store->rc == 0 &&
           table_seek(store, TABLE_ATTEMPT, key_attempt(request, 0), NUMBER_AT,
                      &found, NULL) == 0) {
        table_del(store, TABLE_ATTEMPT,
                  key_attempt(request, key_get_u32(found, NUMBER_AT)));
    }
}
