/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/table.h"

static struct key
timer_key(const struct timer *timer)
{
    /* Times are never negative here, so the unsigned order is theirs. */
    assert(timer->due_ms >= 0);
    return key_u64(
        key_u8(key_u64(key_start(), (uint64_t)timer->due_ms), timer->kind),
        timer->id);
}

void
store_timer_set(struct store *store, const struct timer *timer)
{
    struct buf *out = table_fields(store);

    record_u64(out, timer->cursor.batch);
    record_u32(out, timer->cursor.index);
    record_u32(out, timer->argument);
    table_put(store, TABLE_TIMER, timer_key(timer));
}

void
store_timer_drop(struct store *store, const struct timer *timer)
{
    table_del(store, TABLE_TIMER, timer_key(timer));
}

static int
timer_from(struct store *store, struct key from, struct timer *timer)
{
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_TIMER, from, 0, &found, &record);

    if (rc < 0 && rc != E_CORRUPT)
        return rc;
    *timer = (struct timer){ .due_ms = (int64_t)key_get_u64(found, 0),
                             .kind = (unsigned char)found.data[8],
                             .id = key_get_u64(found, 9) };
    if (rc < 0)
        return rc;
    timer->cursor.batch = record_get_u64(&record);
    timer->cursor.index = record_get_u32(&record);
    timer->argument = record_get_u32(&record);
    if (timer->kind < TIMER_REQUEST || timer->kind > TIMER_LAST)
        return E_CORRUPT;
    return record_end(&record);
}

int
store_timer_first(struct store *store, struct timer *timer)
{
    return timer_from(store, key_start(), timer);
}

int
store_timer_after(struct store *store, struct timer *timer)
{
    /* Its key and a byte more is the next one there can be. */
    return timer_from(store, key_u8(timer_key(timer), 0), timer);
}

int
store_count_delayed(struct store *store)
{
    struct timer timer;
    int rc = store_timer_first(store, &timer);

    store->delayed = 0;
    while (rc == 0 || rc == E_CORRUPT) {
        store->delayed += timer.kind == TIMER_REQUEST;
        rc = store_timer_after(store, &timer);
    }
    store->delayed_committed = store->delayed;
    return rc == E_NOTFOUND ? 0 : rc;
}

static struct key
worker_key(const unsigned char uuid[16])
{
    return key_bytes(key_start(), uuid, 16);
}

void
store_worker_put(struct store *store, const struct worker_row *row)
{
    struct buf *out = table_fields(store);

    record_u32(out, row->slots);
    record_str(out, row->host);
    record_str(out, row->lock);
    record_str(out, row->own);
    record_u32(out, row->pid);
    record_i64(out, row->seen_ms);
    record_i64(out, row->until_ms);
    table_put(store, TABLE_WORKER, worker_key(row->uuid));
}

void
store_worker_drop(struct store *store, const unsigned char uuid[16])
{
    table_del(store, TABLE_WORKER, worker_key(uuid));
}

int
store_worker_after(struct store *store, const unsigned char *uuid,
                   struct worker_row *row)
{
    /* The uuid and a byte more is the next key there can be. */
    struct key from = uuid ? key_u8(worker_key(uuid), 0) : key_start();
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_WORKER, from, 0, &found, &record);

    if (rc < 0 && rc != E_CORRUPT)
        return rc;
    *row = (struct worker_row){ 0 };
    memcpy(row->uuid, found.data, sizeof(row->uuid));
    if (rc < 0)
        return rc;
    row->slots = record_get_u32(&record);
    row->host = record_get_str(&record);
    row->lock = record_get_str(&record);
    row->own = record_get_str(&record);
    row->pid = record_get_u32(&record);
    row->seen_ms = record_get_i64(&record);
    row->until_ms = record_get_i64(&record);
    return record_end(&record);
}
