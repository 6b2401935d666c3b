/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pack_dictionary.h"
#include "store/rows.h"
#include "store/segment.h"

#define PATH_BYTES_MAX 4096

static struct key
meta_key(const char *name)
{
    return key_bytes(key_start(), name, strlen(name));
}

static void
ids_put(struct store *store)
{
    struct buf *out = table_fields(store);

    record_u64(out, store->ids.batch);
    record_u64(out, store->ids.request);
    record_u64(out, store->ids.seq);
    record_u64(out, store->ids.group);
    record_i64(out, store->ids.latest_ms);
    store->ids.mark = store->mark;
    record_bytes(out, store->ids.mark.boot, sizeof(store->ids.mark.boot));
    record_i64(out, store->ids.mark.boot_ms);
    record_i64(out, store->ids.mark.wall_ms);
    record_u64(out, store->ids.file);
    record_u64(out, store->ids.delivery);
    record_u64(out, store->ids.answer);
    record_u64(out, store->ids.part);
    record_u64(out, store->ids.drafts);
    table_put(store, TABLE_META, meta_key("ids"));
}

static int
ids_get(struct store *store)
{
    struct record record;
    int rc = table_get(store, TABLE_META, meta_key("ids"), &record);

    if (rc < 0)
        return rc;
    store->ids.batch = record_get_u64(&record);
    store->ids.request = record_get_u64(&record);
    store->ids.seq = record_get_u64(&record);
    store->ids.group = record_get_u64(&record);
    store->ids.latest_ms = record_get_i64(&record);
    /* Formats 1 and 2 had no mark. */
    if (record.left) {
        record_get_bytes(&record, store->ids.mark.boot,
                         sizeof(store->ids.mark.boot));
        store->ids.mark.boot_ms = record_get_i64(&record);
        store->ids.mark.wall_ms = record_get_i64(&record);
    }
    if (record.left) { /* since format 4 */
        store->ids.file = record_get_u64(&record);
        store->ids.delivery = record_get_u64(&record);
    }
    /* The first stores of format 4 had no numbers of answers. */
    store->ids.answer = record.left ? record_get_u64(&record) : 0;
    store->ids.part = record.left ? record_get_u64(&record) : 0; /* format 6 */
    store->ids.drafts = record.left ? record_get_u64(&record) : 0; /* 8 */
    store->committed = store->ids;
    return record_end(&record);
}

static void
format_put(struct store *store)
{
    record_u32(table_fields(store), STORE_FORMAT);
    table_put(store, TABLE_META, meta_key("format"));
}

/* Writes what makes an empty engine a store. */
static int
found_store(struct store *store, const unsigned char uuid[STORE_UUID_BYTES],
            struct err *err)
{
    if (store_begin(store, 0, err) < 0)
        return E_IO;
    format_put(store);
    record_bytes(table_fields(store), uuid, STORE_UUID_BYTES);
    table_put(store, TABLE_META, meta_key("uuid"));
    ids_put(store);
    memcpy(store->uuid, uuid, STORE_UUID_BYTES);
    return store_commit(store, err);
}

/* Reads what makes an engine a store of ours. */
static int
recognise(struct store *store, struct err *err)
{
    struct record record;
    uint32_t format = 0;
    int rc;

    if (store_begin(store, 0, err) < 0)
        return E_IO;
    rc = table_get(store, TABLE_META, meta_key("format"), &record);
    if (rc == 0) {
        format = record_get_u32(&record);
        store->format = format;
        rc = record_end(&record);
    }
    if (rc == 0 && format == 0)
        rc = E_CORRUPT;
    if (rc == 0 && format > STORE_FORMAT) {
        rc = err_set(err, E_VERSION,
                     "the store has format %u, this program knows %d; use a "
                     "newer one",
                     format, STORE_FORMAT);
        goto out;
    }
    if (rc == 0)
        rc = table_get(store, TABLE_META, meta_key("uuid"), &record);
    if (rc == 0) {
        record_get_bytes(&record, store->uuid, sizeof(store->uuid));
        rc = record_end(&record);
    }
    if (rc == 0)
        rc = ids_get(store);
    if (rc == 0)
        rc = ready_count(store);
    if (rc == 0)
        keybook_load(store);
    /* Stays until somebody says what the clocks show. */
    store->mark = store->committed.mark;
    if (rc == E_NOTFOUND)
        rc = err_set(err, E_CORRUPT, "data.mdb is not a Sheaf store");
    else if (rc < 0)
        rc = err_set(err, rc, "data.mdb: its first records are damaged");
out:
    store_abort(store);
    return rc;
}

uint64_t
store_map_bytes(uint64_t bytes_max)
{
    return bytes_max + (bytes_max < STORE_RESERVE ? bytes_max : STORE_RESERVE);
}

static struct store *
store_new(struct engine *engine, uint64_t bytes_max)
{
    struct store *store = mem_zalloc(1, sizeof(*store));

    store->engine = engine;
    store->bytes_max = bytes_max;
    store_set_marks(store, STORE_SOFT_PERCENT, STORE_HARD_PERCENT);
    store->answers_ttl_ms = INT64_MAX;
    store->digest = digest_new();
    store->keybook = keybook_new();
    store->keyset = keyset_new();
    store->done_gap = DONE_GAP;
    store->packer = packer_new();
    store->opened = opened_new();
    packer_set_dictionary(store->packer, PACK_DICTIONARY);
    return store;
}

static int
sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return -1;
    rc = fsync(fd);
    return close(fd) < 0 ? -1 : rc;
}

static int
join(char path[PATH_BYTES_MAX], const char *dir, const char *leaf)
{
    int bytes = snprintf(path, PATH_BYTES_MAX, "%s/%s", dir, leaf);

    return bytes > 0 && bytes < PATH_BYTES_MAX ? 0 : -1;
}

/* Removes what a creation or a compaction leaves beside the store, whole or
 * interrupted: it was never used. What cannot be removed does no harm. */
static void
clear_beside(const char *dir)
{
    static const char *const leaves[] = { "new/data.mdb", "new/lock.mdb",
                                          STORE_BESIDE "/data.mdb",
                                          STORE_BESIDE "/lock.mdb" };
    char path[PATH_BYTES_MAX];

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (join(path, dir, leaves[i]) == 0)
            (void)unlink(path);
    }
    if (join(path, dir, "new") == 0)
        (void)rmdir(path);
    if (join(path, dir, STORE_BESIDE) == 0)
        (void)rmdir(path);
}

/* Makes a store in DIR/new and moves it into place, so that whatever happens
 * there is either no store or a whole one. */
static int
create(const char *dir, uint64_t bytes_max,
       const unsigned char uuid[STORE_UUID_BYTES], struct err *err)
{
    char fresh[PATH_BYTES_MAX], from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    struct engine *engine;
    struct store *store;
    int rc;

    if (join(fresh, dir, "new") < 0 || join(from, fresh, "data.mdb") < 0 ||
        join(to, dir, "data.mdb") < 0) {
        return err_set(err, E_USAGE, "the path is too long");
    }
    clear_beside(dir);
    if (mkdir(fresh, 0700) < 0)
        return err_set(err, err_of_errno(errno), "make %s: %s", fresh,
                       strerror(errno));
    engine = engine_open_lmdb(fresh, true, store_map_bytes(bytes_max), err);
    if (!engine)
        return E_IO;
    store = store_new(engine, bytes_max);
    rc = found_store(store, uuid, err);
    store_close(store);
    if (rc < 0)
        return rc;
    if (sync_dir(fresh) < 0 || rename(from, to) < 0 || sync_dir(dir) < 0) {
        return err_set(err, err_of_errno(errno), "move %s to %s: %s", from, to,
                       strerror(errno));
    }
    return 0;
}

/* Where there is no data.mdb, a store is made, unless there was one before: its
 * lock file is written when it is opened, after it was moved into place. */
static int
prepare(const char *dir, uint64_t bytes_max,
        const unsigned char uuid[STORE_UUID_BYTES], struct err *err)
{
    char path[PATH_BYTES_MAX];
    struct stat st;

    if (join(path, dir, "data.mdb") < 0)
        return err_set(err, E_USAGE, "the path is too long");
    if (lstat(path, &st) == 0)
        return 0;
    if (errno != ENOENT)
        return err_set(err, E_IO, "%s: %s", path, strerror(errno));
    if (join(path, dir, "lock.mdb") < 0)
        return err_set(err, E_USAGE, "the path is too long");
    if (lstat(path, &st) == 0) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is gone, but lock.mdb is there; restore it "
                       "from a backup, or remove lock.mdb to begin anew");
    }
    return create(dir, bytes_max, uuid, err);
}

/* What is there already. */
static struct store *
open_store(const char *dir, uint64_t bytes_max, const struct pages *look,
           struct err *err)
{
    struct engine *engine = NULL;
    struct store *store;

    clear_beside(dir);
    if (pages_check_dir(dir, look, err) == 0)
        engine = engine_open_lmdb(dir, false, store_map_bytes(bytes_max), err);
    if (!engine)
        return NULL;
    store = store_new(engine, bytes_max);
    if (recognise(store, err) == 0)
        return store;
    store_close(store);
    return NULL;
}

struct store *
store_open(const char *dir, uint64_t bytes_max,
           const unsigned char uuid[STORE_UUID_BYTES], struct err *err)
{
    static const struct pages look = { .scope = PAGES_FEW };
    struct store *store = NULL;

    if (prepare(dir, bytes_max, uuid, err) == 0)
        store = open_store(dir, bytes_max, &look, err);
    if (!store)
        err_wrap(err, "store %s", dir);
    return store;
}

struct store *
store_open_checked(const char *dir, uint64_t bytes_max, enum pages_scope scope,
                   struct err *err)
{
    const struct pages look = { .scope = scope };
    struct store *store = open_store(dir, bytes_max, &look, err);

    if (!store)
        err_wrap(err, "store %s", dir);
    return store;
}

struct store *
store_open_memory(uint64_t bytes_max,
                  const unsigned char uuid[STORE_UUID_BYTES])
{
    struct store *store =
        store_new(engine_open_memory(store_map_bytes(bytes_max)), bytes_max);
    int rc = found_store(store, uuid, NULL);

    assert(rc == 0);
    (void)rc;
    return store;
}

int
store_snapshot(struct store *store, const struct pages *look,
               struct store **snapshot, struct err *err)
{
    struct engine *engine;
    struct store *view;
    int rc = store->engine->ops->snapshot(store->engine, look, &engine, err);

    *snapshot = NULL;
    if (rc != 0)
        return rc;
    view = store_new(engine, store->bytes_max);
    view->answers_ttl_ms = store->answers_ttl_ms;
    view->is_open = true;
    rc = ids_get(view);
    if (rc == 0)
        keybook_load(view);
    if (rc < 0) {
        store_close(view);
        return err_set(err, rc, "read a snapshot: %s", err_text(rc));
    }
    *snapshot = view;
    return 0;
}

void
store_keep_recent(struct store *store, size_t keys_max, size_t cell_max)
{
    keybook_limit(store->keybook, keys_max);
    keyset_limit(store->keyset, cell_max);
}

void
store_keep_apart(struct store *store, uint64_t gap)
{
    store->done_gap = gap;
}

void
store_keep_answers(struct store *store, int64_t ttl_ms)
{
    store->answers_ttl_ms = ttl_ms;
}

int
store_reserve(struct store *store, size_t drafts, struct err *err)
{
    assert(!store->is_open);
    keybook_reserve(store->keybook, drafts);
    keyset_reserve(store->keyset);
    /* Three of eight: with a thousand drafts a commit, 130 pages are written where
     * ids are counted, and 320 with as many results. Of ids that are made by
     * chance each comes to lie on a page of its own once a batch has many: only
     * who has such needs 1100. */
    return store->engine->ops->reserve(store->engine, drafts * 3 / 8, err);
}

void
store_close(struct store *store)
{
    if (!store)
        return;
    if (store->is_open)
        store_abort(store);
    store->engine->ops->close(store->engine);
    buf_fini(&store->fields);
    buf_fini(&store->stem_text);
    digest_free(store->digest);
    keybook_free(store->keybook);
    keyset_free(store->keyset);
    packer_free(store->packer);
    opened_free(store->opened);
    buf_fini(&store->reply);
    free(store);
}

void
store_mark(struct store *store, const struct clock_mark *mark)
{
    store->mark = *mark;
}

int
store_begin(struct store *store, int64_t now_ms, struct err *err)
{
    int rc;

    assert(!store->is_open);
    rc = store->engine->ops->begin(store->engine, err);
    if (rc < 0)
        return rc;
    store->is_open = true;
    store->is_dirty = false;
    store->rc = 0;
    store->now_ms = now_ms;
    if (now_ms > store->ids.latest_ms)
        store->ids.latest_ms = now_ms;
    return 0;
}

int
store_commit(struct store *store, struct err *err)
{
    int rc;

    assert(store->is_open);
    batch_catch_up(store);
    ready_catch_up(store);
    span_catch_up(store);
    if (store->rc == 0 && store->is_dirty)
        keybook_write(store);
    if (store->rc == 0 && store->is_dirty)
        ids_put(store);
    if (store->rc == 0 && store->is_dirty && store->format != STORE_FORMAT)
        format_put(store);
    if (store->rc != 0) {
        if (err)
            *err = store->err;
        rc = store->rc;
        store_abort(store);
        return rc;
    }
    if (!store->is_dirty) {
        store_abort(store);
        return 0;
    }
    rc = store->engine->ops->commit(store->engine, err);
    store->is_open = false;
    keybook_settle(store->keybook, rc == 0);
    if (rc < 0) {
        opened_reset(store->opened);
        store->ids = store->committed;
        store->delayed = store->delayed_committed;
        store->ready_count = store->ready_committed;
    } else {
        store->committed = store->ids;
        store->delayed_committed = store->delayed;
        store->ready_committed = store->ready_count;
        store->format = STORE_FORMAT;
    }
    return rc;
}

bool
store_is_dirty(const struct store *store)
{
    return store->is_dirty;
}

void
store_abort(struct store *store)
{
    assert(store->is_open);
    store->engine->ops->abort(store->engine);
    store->is_open = false;
    store->late.id = 0;
    store->hold.batch = 0;
    store->span.batch = 0;
    store->span.is_changed = false;
    keybook_settle(store->keybook, false);
    if (store->is_dirty)
        opened_reset(store->opened);
    store->ids = store->committed;
    store->delayed = store->delayed_committed;
    store->ready_count = store->ready_committed;
}

int64_t
store_now_ms(const struct store *store)
{
    return store->now_ms;
}

const unsigned char *
store_uuid(const struct store *store)
{
    return store->uuid;
}

int64_t
store_latest_ms(const struct store *store)
{
    return store->committed.latest_ms;
}

const struct clock_mark *
store_latest_mark(const struct store *store)
{
    return &store->committed.mark;
}
