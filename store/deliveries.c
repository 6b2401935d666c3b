/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/rows.h"

/* A webhook's name is what the operator chose, so it is hashed. */
static struct key
pending_start(const char *webhook)
{
    unsigned char digest[DIGEST_BYTES];

    digest_of(webhook, strlen(webhook), digest);
    return key_bytes(key_start(), digest, DELIVERY_STEM_BYTES);
}

struct key
key_pending(const struct delivery *delivery)
{
    return key_u64(
        key_u64(pending_start(delivery->webhook), (uint64_t)delivery->next_ms),
        delivery->id);
}

struct timer
delivery_timer(const struct delivery *delivery)
{
    return (struct timer){ .due_ms = delivery->due_ms,
                           .kind = TIMER_DELIVERY,
                           .id = delivery->id };
}

/* Takes out of the indexes what a row that is about to go stands for. */
static void
unplace(struct store *store, const struct delivery *delivery)
{
    struct timer timer = delivery_timer(delivery);

    store_timer_drop(store, &timer);
    if (delivery->state == DELIVERY_WAITING)
        table_del(store, TABLE_PENDING, key_pending(delivery));
}

void
delivery_place(struct store *store, const struct delivery *delivery)
{
    struct timer timer = delivery_timer(delivery);

    store_timer_set(store, &timer);
    if (delivery->state == DELIVERY_WAITING) {
        table_fields(store);
        table_put(store, TABLE_PENDING, key_pending(delivery));
    }
}

static void
write_row(struct store *store, const struct delivery *delivery)
{
    delivery_encode(delivery, table_fields(store));
    table_put(store, TABLE_DELIVERY, key_id(delivery->id));
}

void
store_delivery_add(struct store *store, struct delivery *delivery)
{
    assert(delivery->state == DELIVERY_WAITING);
    assert(delivery->body.bytes <= DELIVERY_BODY_BYTES_MAX);
    delivery->id = ++store->ids.delivery;
    write_row(store, delivery);
    delivery_place(store, delivery);
}

void
store_delivery_put(struct store *store, const struct delivery *delivery)
{
    struct delivery before;
    int rc = store_delivery_get(store, delivery->id, &before);

    /* The row first: its body may be borrowed from the one it replaces. */
    write_row(store, delivery);
    if (rc == 0)
        unplace(store, &before);
    delivery_place(store, delivery);
}

void
store_delivery_drop(struct store *store, uint64_t id)
{
    struct delivery delivery;

    if (store_delivery_get(store, id, &delivery) == 0)
        unplace(store, &delivery);
    table_del(store, TABLE_DELIVERY, key_id(id));
}

static int
delivery_found(int rc, struct slice found, struct record *record,
               struct delivery *delivery)
{
    if (rc == 0 || rc == E_CORRUPT)
        *delivery = (struct delivery){ .id = key_get_u64(found, 0) };
    return rc < 0 ? rc : delivery_decode(record, delivery);
}

int
store_delivery_get(struct store *store, uint64_t id, struct delivery *delivery)
{
    struct key key = key_id(id);
    struct record record;
    int rc = table_get(store, TABLE_DELIVERY, key, &record);

    return delivery_found(rc, key_slice(&key), &record, delivery);
}

int
store_delivery_before(struct store *store, uint64_t id,
                      struct delivery *delivery)
{
    struct slice found = { 0 };
    struct record record;
    int rc =
        table_before(store, TABLE_DELIVERY, key_id(id), 0, &found, &record);

    return delivery_found(rc, found, &record, delivery);
}

int
store_delivery_after(struct store *store, uint64_t id,
                     struct delivery *delivery)
{
    struct slice found = { 0 };
    struct record record;
    int rc = id == UINT64_MAX ? E_NOTFOUND
                              : table_seek(store, TABLE_DELIVERY,
                                           key_id(id + 1), 0, &found, &record);

    return delivery_found(rc, found, &record, delivery);
}

int
store_delivery_first(struct store *store, const char *webhook,
                     struct delivery *delivery)
{
    struct slice found;
    uint64_t id;
    int rc = table_seek(store, TABLE_PENDING, pending_start(webhook),
                        DELIVERY_STEM_BYTES, &found, NULL);

    if (rc < 0)
        return rc;
    id = key_get_u64(found, 16);
    rc = store_delivery_get(store, id, delivery);
    delivery->id = id;
    /* One that is not there is as bad as one that cannot be read. */
    return rc == E_NOTFOUND ? E_CORRUPT : rc;
}

void
store_delivery_skip(struct store *store, const char *webhook)
{
    struct slice found;

    if (table_seek(store, TABLE_PENDING, pending_start(webhook),
                   DELIVERY_STEM_BYTES, &found, NULL) == 0) {
        table_del(store, TABLE_PENDING,
                  key_bytes(key_start(), found.data, found.bytes));
    }
}

uint64_t
store_delivery_count(struct store *store)
{
    return store->engine->ops->rows(store->engine, TABLE_DELIVERY);
}
