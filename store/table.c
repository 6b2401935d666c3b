/* SPDX-License-Identifier: MIT */
#include "store/table.h"

#include <assert.h>
#include <string.h>

/* Bytes of a table's keys, all being of one length; 0: names. */
static const size_t key_widths[TABLE_COUNT] = {
    [TABLE_META] = 0,
    [TABLE_BATCH] = 8,
    [TABLE_SPEC] = 8,
    [TABLE_UUID] = 16,
    [TABLE_CLIENT_KEY] = DIGEST_BYTES,
    [TABLE_CHUNK] = 12,
    [TABLE_BODY] = 12,
    [TABLE_DRAFT] = 12,
    [TABLE_NAME] = 24,
    [TABLE_REFUSAL] = 12,
    [TABLE_REQUEST] = 8,
    [TABLE_KEY] = DIGEST_BYTES,
    [TABLE_REF] = 20,
    [TABLE_READY] = 32,
    [TABLE_TIMER] = 17,
    [TABLE_LEASE] = 8,
    [TABLE_WORKER] = 16,
    [TABLE_OUTCOME] = 8,
    [TABLE_REPLY] = 8,
    [TABLE_RESULT] = 8,
    [TABLE_DONE] = 16,
    [TABLE_ESSENCE] = 12,
    [TABLE_ATTEMPT] = 12,
    [TABLE_UPSTREAM] = DIGEST_BYTES,
    [TABLE_FILE] = 8,
    [TABLE_FILE_UUID] = 16,
    [TABLE_FILE_KEY] = DIGEST_BYTES,
    [TABLE_OWNED] = DIGEST_BYTES + 8,
    [TABLE_PIECE] = 12,
    [TABLE_FILING] = 8,
    [TABLE_DELIVERY] = 8,
    [TABLE_PENDING] = 24,
    [TABLE_KEY_LOG] = 8,
    [TABLE_KEY_SET] = 8,
    [TABLE_ANSWER] = 8,
    [TABLE_KEY_CELL] = 8,
    [TABLE_PART] = 8,
    [TABLE_NEWEST] = 8,
    [TABLE_SPAN] = 12,
};

size_t
table_key_bytes(enum table table)
{
    return key_widths[table];
}

void
store_fail(struct store *store, int rc, enum table table, const char *what)
{
    if (rc == 0 || store->rc != 0)
        return;
    store->rc = rc;
    err_set(&store->err, engine_code(store->engine, rc), "%s table %s: %s",
            what, table_name(table),
            store->engine->reason ? store->engine->reason : err_text(rc));
}

/* What the engine says to a read. All but "not there" ends the transaction: the
 * engine failed, now or before. */
static int
read_code(struct store *store, int rc, enum table table)
{
    if (rc == 0 || rc == E_NOTFOUND)
        return rc;
    store_fail(store, rc, table, "read from");
    return store->rc;
}

int
table_get_raw(struct store *store, enum table table, struct key key,
              struct slice *value)
{
    assert(store->is_open);
    return read_code(
        store,
        store->engine->ops->get(store->engine, table, key_slice(&key), value),
        table);
}

int
table_get(struct store *store, enum table table, struct key key,
          struct record *record)
{
    struct slice value;
    int rc = table_get_raw(store, table, key, &value);

    return rc < 0 ? rc : record_open(record, table, key_slice(&key), value);
}

static int
check_found(struct store *store, enum table table, struct slice prefix,
            struct slice found)
{
    if (key_widths[table] != 0 && found.bytes != key_widths[table]) {
        store->engine->is_damaged = true;
        store_fail(store, E_IO, table, "a key of wrong length in");
        return E_IO;
    }
    if (prefix.bytes && memcmp(found.data, prefix.data, prefix.bytes) != 0)
        return E_NOTFOUND;
    return 0;
}

/* Both ways of looking for a row. */
static int
find(struct store *store, enum table table, struct key key, size_t prefix,
     bool is_before, struct slice found[2])
{
    const struct engine_ops *ops = store->engine->ops;
    int rc;

    assert(store->is_open);
    assert(prefix <= key.count);
    rc = (is_before ? ops->before : ops->seek)(
        store->engine, table, key_slice(&key), &found[0], &found[1]);
    rc = read_code(store, rc, table);
    if (rc < 0)
        return rc;
    return check_found(store, table,
                       (struct slice){ (const char *)key.bytes, prefix },
                       found[0]);
}

int
table_seek(struct store *store, enum table table, struct key key, size_t prefix,
           struct slice *found, struct record *record)
{
    struct slice row[2];
    int rc = find(store, table, key, prefix, false, row);

    if (rc < 0)
        return rc;
    *found = row[0];
    return record ? record_open(record, table, row[0], row[1]) : 0;
}

int
table_before(struct store *store, enum table table, struct key key,
             size_t prefix, struct slice *found, struct record *record)
{
    struct slice row[2];
    int rc = find(store, table, key, prefix, true, row);

    if (rc < 0)
        return rc;
    *found = row[0];
    return record ? record_open(record, table, row[0], row[1]) : 0;
}

/* Gives what was found, whose seal is not looked at. */
static int
give_raw(int rc, const struct slice row[2], struct slice *found,
         struct slice *value)
{
    if (rc < 0)
        return rc;
    *found = row[0];
    *value = row[1];
    return 0;
}

int
table_seek_raw(struct store *store, enum table table, struct key key,
               size_t prefix, struct slice *found, struct slice *value)
{
    struct slice row[2];
    int rc = find(store, table, key, prefix, false, row);

    return give_raw(rc, row, found, value);
}

int
table_before_raw(struct store *store, enum table table, struct key key,
                 struct slice *found, struct slice *value)
{
    struct slice row[2];
    int rc = find(store, table, key, 0, true, row);

    return give_raw(rc, row, found, value);
}

struct buf *
table_fields(struct store *store)
{
    buf_reset(&store->fields);
    return &store->fields;
}

/* Both ways of writing a row. */
static void
write_row(struct store *store, enum table table, struct key key,
          struct slice value,
          int (*write)(struct engine *engine, enum table table,
                       struct slice key, struct slice value))
{
    int rc;

    assert(store->is_open);
    if (store->rc != 0)
        return;
    store->is_dirty = true;
    rc = write(store->engine, table, key_slice(&key), value);
    if (rc < 0)
        store_fail(store, rc, table, "write to");
}

void
table_put(struct store *store, enum table table, struct key key)
{
    record_seal(&store->fields, table, key_slice(&key));
    write_row(store, table, key, buf_slice(&store->fields),
              store->engine->ops->put);
}

void
table_put_raw(struct store *store, enum table table, struct key key,
              struct slice value)
{
    write_row(store, table, key, value, store->engine->ops->put);
}

void
table_append(struct store *store, enum table table, struct key key)
{
    record_seal(&store->fields, table, key_slice(&key));
    write_row(store, table, key, buf_slice(&store->fields),
              store->engine->ops->append);
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
    store_fail(store, rc, table, "remove from");
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
