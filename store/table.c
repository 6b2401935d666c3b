/* SPDX-License-Identifier: MIT */
#include "store/table.h"

#include <assert.h>
#include <string.h>

void
store_fail(struct store *store, int rc, enum table table, const char *what)
{
    if (rc == 0 || store->rc != 0)
        return;
    store->rc = rc;
    err_set(&store->err, rc, "%s in table %s: %s", what, table_name(table),
            err_text(rc));
}

int
table_get(struct store *store, enum table table, struct key key,
          struct record *record)
{
    struct slice value;
    int rc =
        store->engine->ops->get(store->engine, table, key_slice(&key), &value);

    assert(store->is_open);
    if (rc < 0)
        return rc;
    return record_open(record, table, key_slice(&key), value);
}

static int
check_found(enum table table, struct key key, size_t prefix, struct slice found,
            struct slice value, struct record *record)
{
    if (found.bytes < prefix ||
        (prefix && memcmp(found.data, key.bytes, prefix) != 0)) {
        return E_NOTFOUND;
    }
    return record ? record_open(record, table, found, value) : 0;
}

int
table_seek(struct store *store, enum table table, struct key key, size_t prefix,
           struct slice *found, struct record *record)
{
    struct slice value;
    int rc = store->engine->ops->seek(store->engine, table, key_slice(&key),
                                      found, &value);

    if (rc < 0)
        return rc;
    return check_found(table, key, prefix, *found, value, record);
}

int
table_before(struct store *store, enum table table, struct key key,
             size_t prefix, struct slice *found, struct record *record)
{
    struct slice value;
    int rc = store->engine->ops->before(store->engine, table, key_slice(&key),
                                        found, &value);

    if (rc < 0)
        return rc;
    return check_found(table, key, prefix, *found, value, record);
}

struct buf *
table_fields(struct store *store)
{
    buf_reset(&store->fields);
    return &store->fields;
}

void
table_put(struct store *store, enum table table, struct key key)
{
    assert(store->is_open);
    if (store->rc != 0)
        return;
    store->is_dirty = true;
    record_seal(&store->fields, table, key_slice(&key));
    store_fail(store,
               store->engine->ops->put(store->engine, table, key_slice(&key),
                                       buf_slice(&store->fields)),
               table, "write");
}

void
table_del(struct store *store, enum table table, struct key key)
{
    int rc;

    assert(store->is_open);
    if (store->rc != 0)
        return;
    rc = store->engine->ops->del(store->engine, table, key_slice(&key));
    if (rc == E_NOTFOUND)
        return;
    store->is_dirty = true;
    store_fail(store, rc, table, "remove");
}

struct key
key_draft(uint64_t batch, uint32_t index)
{
    return key_u32(key_u64(key_start(), batch), index);
}

struct key
key_id(uint64_t id)
{
    return key_u64(key_start(), id);
}
