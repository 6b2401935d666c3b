/* SPDX-License-Identifier: MIT */
#include "tests/store_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/check_rows.h"

#define LINES_MAX 20 /* of the report */

void
fault(struct check *check, const char *fmt, ...)
{
    char line[256];
    va_list args;

    if (check->count++ >= LINES_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    buf_addf(check->report, "%s\n", line);
}

/* ---- going through tables ---- */

/* Calls visit with every row of a table; it must not change the store. */
static void
walk(struct check *check, enum table table, row_fn *visit)
{
    const struct engine_ops *ops = check->store->engine->ops;
    struct slice found, value;
    struct record record;
    struct key key = key_start();
    int rc;

    while ((rc = ops->seek(check->store->engine, table, key_slice(&key), &found,
                           &value)) == 0) {
        /* A byte more is the next key there can be. */
        key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
        if (record_open(&record, table, found, value) < 0) {
            fault(check, "%s: a row fails its checksum", table_name(table));
            continue;
        }
        found = (struct slice){ (const char *)key.bytes, key.count - 1 };
        visit(check, found, &record);
    }
    EXPECT(check, rc == E_NOTFOUND, "%s: %s", table_name(table), err_text(rc));
}

bool
has_row(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0;
}

/* The u64 or u32 that a row holds; 0 if it is not there. */
uint64_t
row_u64(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0
               ? record_get_u64(&record)
               : 0;
}

struct key
check_ref(uint64_t request, uint64_t batch, uint32_t index)
{
    return key_u32(key_u64(key_id(request), batch), index);
}

bool
has_timer(const struct check *check, enum timer_kind kind, uint64_t id)
{
    for (size_t i = 0; i < check->timer_count; i++) {
        if (check->timers[i].kind == kind && check->timers[i].id == id)
            return true;
    }
    return false;
}

/* True while a sweep of the batch is on its way from draft to draft. */
bool
is_swept(const struct check *check, uint64_t batch)
{
    return has_timer(check, TIMER_CANCEL, batch) ||
           has_timer(check, TIMER_EXPIRE, batch) ||
           has_timer(check, TIMER_RETRY, batch) ||
           has_timer(check, TIMER_DROP, batch);
}

static void
visit_timer(struct check *check, struct slice key, struct record *record)
{
    struct timer timer = { .due_ms = (int64_t)key_get_u64(key, 0),
                           .kind = (unsigned char)key.data[8],
                           .id = key_get_u64(key, 9) };
    struct request request;

    (void)record;
    check->timers = mem_grow(check->timers, check->timer_count + 1,
                             sizeof(check->timers[0]));
    check->timers[check->timer_count++] = timer;
    EXPECT(check, timer.kind >= TIMER_REQUEST && timer.kind <= TIMER_FORGET,
           "timer: kind %d", timer.kind);
    if (timer.kind != TIMER_REQUEST)
        return;
    if (store_request_get(check->store, timer.id, &request) < 0) {
        fault(check, "timer: no request %llu", (llu)timer.id);
        return;
    }
    EXPECT(check, request.state == REQUEST_DELAYED, "timer: request %llu is %s",
           (llu)timer.id, request_state_name(request.state));
    EXPECT(check, request.due_ms == timer.due_ms,
           "timer: request %llu is due at another time", (llu)timer.id);
}

size_t
store_check(struct store *store, struct buf *report)
{
    static row_fn *const visits[TABLE_COUNT] = {
        [TABLE_BATCH] = check_batch,
        [TABLE_SPEC] = check_of_batch,
        [TABLE_UUID] = check_to_batch,
        [TABLE_CLIENT_KEY] = check_client_key,
        [TABLE_CHUNK] = check_of_batch,
        [TABLE_BODY] = check_of_batch,
        [TABLE_DRAFT] = check_draft,
        [TABLE_NAME] = check_of_batch,
        [TABLE_REFUSAL] = check_refusal,
        [TABLE_REQUEST] = check_request,
        [TABLE_KEY] = check_key,
        [TABLE_REF] = check_want,
        [TABLE_READY] = check_ready,
        [TABLE_LEASE] = check_of_request,
        [TABLE_OUTCOME] = check_of_request,
        [TABLE_REPLY] = check_of_request,
        [TABLE_RESULT] = check_result,
        [TABLE_DONE] = check_done,
        [TABLE_ESSENCE] = check_of_draft,
    };
    struct check check = { .store = store, .report = report };

    walk(&check, TABLE_TIMER, visit_timer);
    for (enum table table = 0; table < TABLE_COUNT; table++) {
        if (visits[table])
            walk(&check, table, visits[table]);
    }
    free(check.timers);
    return check.count;
}

uint64_t
store_check_find(struct store *store, const unsigned char key[DIGEST_BYTES])
{
    struct request request;

    return key_lookup(store, key, &request) < 0 ? 0 : request.id;
}

void
store_digest(struct store *store, unsigned char out[DIGEST_BYTES])
{
    const struct engine_ops *ops = store->engine->ops;
    struct digest *digest = digest_new();
    struct slice found, value;

    for (enum table table = 0; table < TABLE_COUNT; table++) {
        struct key key = key_start();

        while (ops->seek(store->engine, table, key_slice(&key), &found,
                         &value) == 0) {
            digest_add(digest, &table, sizeof(table));
            digest_add(digest, found.data, found.bytes);
            digest_add(digest, value.data, value.bytes);
            key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
        }
    }
    digest_final(digest, out);
    digest_free(digest);
}
