/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"

#define NUMBER_AT 8 /* place in the key */

static struct key
key_attempt(uint64_t request, uint32_t number)
{
    return key_u32(key_id(request), number);
}

/* The number of the last row before a number; 0 if there is none. */
static uint32_t
row_before(struct store *store, uint64_t request, uint32_t number)
{
    struct slice found;

    if (table_before(store, TABLE_ATTEMPT, key_attempt(request, number),
                     NUMBER_AT, &found, NULL) < 0) {
        return 0;
    }
    return key_get_u32(found, NUMBER_AT);
}

/* How many there have been: the number of the newest. `call`: the number of the
 * one that has no row here, 0 if there is none. */
static uint32_t
count_attempts(struct store *store, uint64_t request, uint32_t call)
{
    uint32_t row = row_before(store, request, UINT32_MAX);

    return row > call ? row : call;
}

static uint32_t
find_call(struct store *store, const struct request *request,
          struct attempt *call)
{
    return answer_call(store, request, call) == 0 ? call->number : 0;
}

static void
put(struct store *store, uint64_t request, uint32_t number,
    const struct attempt *attempt)
{
    attempt_encode(attempt, table_fields(store));
    table_put(store, TABLE_ATTEMPT, key_attempt(request, number));
}

uint32_t
attempt_next(struct store *store, const struct request *request)
{
    struct attempt call;
    uint32_t last = find_call(store, request, &call);
    uint32_t number = count_attempts(store, request->id, last) + 1;

    if (number > STORE_ATTEMPTS_MAX) {
        table_del(store, TABLE_ATTEMPT,
                  key_attempt(request->id, number - STORE_ATTEMPTS_MAX));
    }
    return number;
}

void
attempt_keep(struct store *store, const struct request *request)
{
    struct attempt call;
    uint32_t number = find_call(store, request, &call);

    if (number != 0 && count_attempts(store, request->id, number) - number <
                           STORE_ATTEMPTS_MAX) {
        put(store, request->id, number, &call);
    }
}

void
store_attempt_add(struct store *store, const struct request *request,
                  const struct attempt *attempt)
{
    assert(attempt_fits(attempt));
    put(store, request->id, attempt_next(store, request), attempt);
}

/* True if the call in the row of the outcome stands between a row and a number. One
 * that is older than those that are remembered tells nothing. The answer may be
 * long: it is read only where there is a gap. */
static bool
is_between(struct store *store, const struct request *request, uint32_t row,
           uint32_t number, struct attempt *call)
{
    uint32_t last;

    if (number - row <= 1)
        return false;
    last = find_call(store, request, call);
    return last > row && last < number &&
           count_attempts(store, request->id, last) - last < STORE_ATTEMPTS_MAX;
}

int
store_attempt_before(struct store *store, const struct request *request,
                     uint32_t number, struct attempt *attempt)
{
    struct attempt call;
    struct slice found;
    struct record record;
    int rc =
        table_before(store, TABLE_ATTEMPT, key_attempt(request->id, number),
                     NUMBER_AT, &found, &record);
    uint32_t row =
        rc == 0 || rc == E_CORRUPT ? key_get_u32(found, NUMBER_AT) : 0;

    if (is_between(store, request, row, number, &call)) {
        *attempt = call;
        return 0;
    }
    if (row)
        *attempt = (struct attempt){ .number = row };
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
