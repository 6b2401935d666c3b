/*
 * drive_lmdb.c - the floor: what LMDB takes for the rows of a queue
 *
 * put: an item, its key for deduplication and its place in the queue, each in a
 * tree of its own, with keys in order; --window items a transaction, flushed as
 * LMDB does by itself. Nothing is parsed, no key computed, nobody answered.
 * take: the place goes, and a result of --bytes comes. scan: the items are
 * read in order and written to the file TARGET/scan. TARGET is a directory.
 */
/* SPDX-License-Identifier: MIT */
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/bench/drive.h"

#define MAP_BYTES      ((size_t)64 << 30)
#define KEY_BYTES      16
#define PLACE_BYTES    16
#define PATH_BYTES_MAX 4096

enum tree { ITEM, KEY, READY, RESULT, TREE_COUNT };

struct base {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi trees[TREE_COUNT];
};

static void
check(int rc, const char *what)
{
    if (rc)
        log_fatal("event=lmdb call=%s error=\"%s\"", what, mdb_strerror(rc));
}

static void
base_open(struct base *base, const char *path)
{
    static const char *const names[TREE_COUNT] = { "item", "key", "ready",
                                                   "result" };

    check(mdb_env_create(&base->env), "create");
    check(mdb_env_set_mapsize(base->env, MAP_BYTES), "mapsize");
    check(mdb_env_set_maxdbs(base->env, TREE_COUNT), "maxdbs");
    check(mdb_env_open(base->env, path, 0, 0600), "open");
    check(mdb_txn_begin(base->env, NULL, 0, &base->txn), "begin");
    for (int i = 0; i < TREE_COUNT; i++) {
        check(mdb_dbi_open(base->txn, names[i], MDB_CREATE, &base->trees[i]),
              "dbi_open");
    }
    check(mdb_txn_commit(base->txn), "commit");
}

static void
number_key(int64_t number, unsigned char key[KEY_BYTES])
{
    memset(key, 0, KEY_BYTES);
    for (int i = 0; i < 8; i++)
        key[KEY_BYTES - 1 - i] = (unsigned char)((uint64_t)number >> (8 * i));
}

static void
put(struct base *base, enum tree tree, int64_t number, struct slice value)
{
    unsigned char bytes[KEY_BYTES];
    MDB_val key = { sizeof(bytes), bytes };
    MDB_val data = { value.bytes, (void *)(uintptr_t)value.data };

    number_key(number, bytes);
    check(mdb_put(base->txn, base->trees[tree], &key, &data, MDB_APPEND),
          "put");
}

static void
run_put(struct drive_client *client)
{
    static const char place[PLACE_BYTES];
    const struct drive *drive = client->drive;
    struct buf item = { 0 };
    struct base base;

    base_open(&base, drive->target);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        check(mdb_txn_begin(base.env, NULL, 0, &base.txn), "begin");
        for (int64_t i = 0; i < count; i++) {
            int64_t number = client->first + done + i;

            drive_item(client, done + i, &item);
            put(&base, ITEM, number, buf_slice(&item));
            put(&base, KEY, number, (struct slice){ place, sizeof(place) });
            put(&base, READY, number, (struct slice){ NULL, 0 });
        }
        check(mdb_txn_commit(base.txn), "commit");
    }
    mdb_env_close(base.env);
    buf_fini(&item);
}

static void
run_take(struct drive_client *client)
{
    const struct drive *drive = client->drive;
    struct buf reply = { 0 };
    struct slice text;
    struct base base;

    base_open(&base, drive->target);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        check(mdb_txn_begin(base.env, NULL, 0, &base.txn), "begin");
        for (int64_t i = 0; i < count; i++) {
            unsigned char bytes[KEY_BYTES];
            MDB_val key = { sizeof(bytes), bytes };

            number_key(client->first + done + i, bytes);
            check(mdb_del(base.txn, base.trees[READY], &key, NULL), "del");
            drive_result(client, client->first + done + i, &reply, &text);
            put(&base, RESULT, client->first + done + i, buf_slice(&reply));
        }
        check(mdb_txn_commit(base.txn), "commit");
    }
    mdb_env_close(base.env);
    buf_fini(&reply);
}

static void
run_scan(struct drive_client *client)
{
    char path[PATH_BYTES_MAX];
    MDB_cursor *cursor;
    MDB_val key, data;
    struct base base;
    int64_t found = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/scan", client->drive->target);
    base_open(&base, client->drive->target);
    file = fopen(path, "we");
    if (!file)
        log_fatal("event=not_opened file=%s", path);
    drive_ready(client);
    check(mdb_txn_begin(base.env, NULL, MDB_RDONLY, &base.txn), "begin");
    check(mdb_cursor_open(base.txn, base.trees[ITEM], &cursor), "cursor");
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        found += fwrite(data.mv_data, 1, data.mv_size, file) == data.mv_size;
        (void)putc('\n', file);
    }
    if (fclose(file) == EOF || found != client->count)
        log_fatal("event=short_scan items=%lld", (long long)found);
    mdb_cursor_close(cursor);
    mdb_txn_abort(base.txn);
    mdb_env_close(base.env);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "put", run_put },
                                               { "take", run_take },
                                               { "scan", run_scan },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
