/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/file.h"
#include "store/table.h"

#define PIECE_PAGES 8 /* that a piece takes */

static struct key
uuid_key(const unsigned char uuid[FILE_UUID_BYTES])
{
    return key_bytes(key_start(), uuid, FILE_UUID_BYTES);
}

static struct key
digest_key(const unsigned char digest[DIGEST_BYTES])
{
    return key_bytes(key_start(), digest, DIGEST_BYTES);
}

struct key
key_owned(const char *client, uint64_t file)
{
    unsigned char digest[DIGEST_BYTES];

    digest_of(client, strlen(client), digest);
    return key_u64(digest_key(digest), file);
}

struct key
key_file_key(const struct file *file)
{
    unsigned char digest[DIGEST_BYTES];

    store_client_key(slice_of(file->client), slice_of(file->key), digest);
    return digest_key(digest);
}

static int
file_found(int rc, struct slice found, struct record *record, struct file *file)
{
    if (rc == 0 || rc == E_CORRUPT)
        *file = (struct file){ .id = key_get_u64(found, 0) };
    return rc < 0 ? rc : file_decode(record, file);
}

int
store_file_get(struct store *store, uint64_t id, struct file *file)
{
    struct key key = key_id(id);
    struct record record;
    int rc = table_get(store, TABLE_FILE, key, &record);

    return file_found(rc, key_slice(&key), &record, file);
}

int
store_file_after(struct store *store, uint64_t id, struct file *file)
{
    struct slice found = { 0 };
    struct record record;
    int rc = id == UINT64_MAX ? E_NOTFOUND
                              : table_seek(store, TABLE_FILE, key_id(id + 1), 0,
                                           &found, &record);

    return file_found(rc, found, &record, file);
}

/* A file through one of the two indexes that lead to it. */
static int
find_by(struct store *store, enum table table, struct key key,
        struct file *file)
{
    struct record record;
    uint64_t id;
    int rc = table_get(store, table, key, &record);

    if (rc < 0)
        return rc;
    id = record_get_u64(&record);
    rc = record_end(&record);
    return rc < 0 ? rc : store_file_get(store, id, file);
}

int
store_file_find(struct store *store, const unsigned char uuid[FILE_UUID_BYTES],
                struct file *file)
{
    return find_by(store, TABLE_FILE_UUID, uuid_key(uuid), file);
}

int
store_file_find_key(struct store *store,
                    const unsigned char digest[DIGEST_BYTES], struct file *file)
{
    return find_by(store, TABLE_FILE_KEY, digest_key(digest), file);
}

int
store_file_owned(struct store *store, const char *client, uint64_t id,
                 bool is_before, struct file *file)
{
    struct slice found;
    int rc;

    if (!is_before && id == UINT64_MAX)
        return E_NOTFOUND;
    rc = (is_before ? table_before : table_seek)(
        store, TABLE_OWNED, key_owned(client, is_before ? id : id + 1),
        DIGEST_BYTES, &found, NULL);
    return rc < 0
               ? rc
               : store_file_get(store, key_get_u64(found, DIGEST_BYTES), file);
}

void
store_file_usage(struct store *store, const char *client, uint64_t *count,
                 uint64_t *bytes)
{
    struct slice found;
    struct record record;
    uint64_t id = 0;
    int rc;

    *count = *bytes = 0;
    while ((rc = table_seek(store, TABLE_OWNED, key_owned(client, id),
                            DIGEST_BYTES, &found, &record)) == 0 ||
           rc == E_CORRUPT) {
        ++*count;
        if (rc == 0)
            *bytes += record_get_u64(&record);
        id = key_get_u64(found, DIGEST_BYTES) + 1;
    }
}

static void
owned_put(struct store *store, const struct file *file)
{
    record_u64(table_fields(store), file->bytes);
    table_put(store, TABLE_OWNED, key_owned(file->client, file->id));
}

static void
file_put(struct store *store, const struct file *file)
{
    assert(file->id > 0);
    file_encode(file, table_fields(store));
    table_put(store, TABLE_FILE, key_id(file->id));
}

static void
set_end(struct store *store, const struct file *file)
{
    if (file->end_ms == 0)
        return;
    store_timer_set(store, &(struct timer){ .due_ms = file->end_ms,
                                            .kind = TIMER_FILE_END,
                                            .id = file->id });
}

static void
drop_end(struct store *store, const struct file *file)
{
    store_timer_drop(store, &(struct timer){ .due_ms = file->end_ms,
                                             .kind = TIMER_FILE_END,
                                             .id = file->id });
}

void
store_file_add(struct store *store, struct file *file)
{
    file->id = ++store->ids.file;
    file_put(store, file);
    record_u64(table_fields(store), file->id);
    table_put(store, TABLE_FILE_UUID, uuid_key(file->uuid));
    if (*file->key) {
        record_u64(table_fields(store), file->id);
        table_put(store, TABLE_FILE_KEY, key_file_key(file));
    }
    owned_put(store, file);
    set_end(store, file);
}

/* Adds bytes to the last piece, or as a new one; as many as fit into it. */
static size_t
fill_piece(struct store *store, struct file *file, struct slice bytes)
{
    uint32_t piece = (uint32_t)(file->received / FILE_PIECE_BYTES);
    size_t has = (size_t)(file->received % FILE_PIECE_BYTES);
    size_t room = FILE_PIECE_BYTES - has;
    struct buf *out = table_fields(store);
    struct slice former;

    if (bytes.bytes > room)
        bytes.bytes = room;
    if (has > 0) {
        int rc = store_file_read(store, file,
                                 (uint64_t)piece * FILE_PIECE_BYTES, &former);

        if (rc < 0) {
            store_fail(store, rc, TABLE_PIECE, "read from");
            return bytes.bytes;
        }
        record_bytes(out, former.data, former.bytes);
    }
    record_bytes(out, bytes.data, bytes.bytes);
    if (out->bytes == FILE_PIECE_BYTES)
        file_chain(file->chain, buf_slice(out));
    table_put(store, TABLE_PIECE, key_draft(file->id, piece));
    file->received += bytes.bytes;
    return bytes.bytes;
}

void
store_file_append(struct store *store, struct file *file, struct slice bytes)
{
    assert(file->state == FILE_OPEN);
    while (bytes.bytes > 0 && store->rc == 0) {
        size_t taken = fill_piece(store, file, bytes);

        bytes.data += taken;
        bytes.bytes -= taken;
    }
    if (file->purpose == FILE_BATCH_OUTPUT) {
        file->bytes = file->received;
        owned_put(store, file);
    }
    assert(store->rc != 0 || file->received <= file->bytes);
    file_put(store, file);
}

int
store_file_read(struct store *store, const struct file *file, uint64_t at,
                struct slice *bytes)
{
    uint32_t piece = (uint32_t)(at / FILE_PIECE_BYTES);
    size_t from = (size_t)(at % FILE_PIECE_BYTES);
    struct record record;
    int rc;

    if (at >= file->received)
        return E_NOTFOUND;
    rc = table_get(store, TABLE_PIECE, key_draft(file->id, piece), &record);
    if (rc == 0 && record.left != file_piece_bytes(file, piece))
        rc = E_CORRUPT;
    if (rc < 0)
        return rc == E_NOTFOUND ? E_CORRUPT : rc;
    *bytes =
        (struct slice){ (const char *)record.at + from, record.left - from };
    return 0;
}

int
store_file_digest(struct store *store, const struct file *file,
                  unsigned char digest[DIGEST_BYTES])
{
    uint64_t whole = file->received / FILE_PIECE_BYTES * FILE_PIECE_BYTES;
    struct slice last;
    int rc;

    memcpy(digest, file->chain, DIGEST_BYTES);
    if (file->state != FILE_OPEN || whole == file->received)
        return 0;
    rc = store_file_read(store, file, whole, &last);
    if (rc == 0)
        file_chain(digest, last);
    return rc;
}

void
store_file_close(struct store *store, struct file *file,
                 const unsigned char digest[DIGEST_BYTES], int64_t now_ms)
{
    bool is_made = file->purpose == FILE_BATCH_OUTPUT;

    assert(file->received == file->bytes);
    drop_end(store, file);
    file_move(file, FILE_STORED);
    memcpy(file->chain, digest, DIGEST_BYTES);
    file->stored_ms = now_ms;
    file->end_ms =
        file->ttl_ms ? (is_made ? now_ms : file->created_ms) + file->ttl_ms : 0;
    file_put(store, file);
    set_end(store, file);
}

void
store_file_end_at(struct store *store, struct file *file, int64_t end_ms)
{
    drop_end(store, file);
    file->end_ms = end_ms;
    file_put(store, file);
    set_end(store, file);
}

void
store_file_delete(struct store *store, struct file *file, int64_t now_ms)
{
    struct file holder;

    drop_end(store, file);
    if (*file->key &&
        find_by(store, TABLE_FILE_KEY, key_file_key(file), &holder) == 0 &&
        holder.id == file->id) {
        table_del(store, TABLE_FILE_KEY, key_file_key(file));
    }
    table_del(store, TABLE_OWNED, key_owned(file->client, file->id));
    file_move(file, FILE_DELETED);
    file->end_ms = 0;
    file_put(store, file);
    store_timer_set(store, &(struct timer){ .due_ms = now_ms,
                                            .kind = TIMER_FILE_DROP,
                                            .id = file->id });
}

bool
store_file_drop(struct store *store, const struct file *file)
{
    size_t most = store_slice(store) / PIECE_PAGES + 1;
    struct slice found;

    assert(file->state == FILE_DELETED);
    for (size_t i = 0; store->rc == 0; i++) {
        struct key key = key_start();

        if (table_seek(store, TABLE_PIECE, key_id(file->id), 8, &found, NULL) <
            0) {
            break;
        }
        if (i == most)
            return true;
        key = key_bytes(key, found.data, found.bytes);
        table_del(store, TABLE_PIECE, key);
    }
    table_del(store, TABLE_FILE_UUID, uuid_key(file->uuid));
    table_del(store, TABLE_FILE, key_id(file->id));
    return false;
}
