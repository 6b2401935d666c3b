/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* renameat2 */
#include "store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/table.h"

#define PARTIAL   ".partial" /* behind the name of what is being made */
#define DATA_NAME "/data.mdb"
#define LOCK_NAME "/lock.mdb"
#define GIVE_MAX  1000 /* leases given back in one transaction */
#define DIR_MODE  0700

/* ---- rows ---- */

/* What goes from row to row. */
struct stream {
    struct engine *from, *to; /* to: NULL, only the digest is wanted */
    struct copy *copy;        /* NULL: nobody asks */
    struct digest *digest;
    uint64_t slice_bytes; /* since the last commit */
    struct err *err;
};

static int
fail(struct stream *stream, struct engine *engine, int rc, const char *what)
{
    return err_set(stream->err, engine_code(engine, rc), "%s: %s", what,
                   engine->reason ? engine->reason : err_text(rc));
}

/* Writes a row behind those that are there. */
static int
write_row(struct stream *stream, enum table table, struct slice key,
          struct slice value)
{
    struct engine *to = stream->to;
    int rc = to->ops->append(to, table, key, value);

    if (rc < 0)
        return fail(stream, to, rc, "write the copy");
    stream->slice_bytes += key.bytes + value.bytes;
    if (stream->slice_bytes < COPY_SLICE_BYTES)
        return 0;
    stream->slice_bytes = 0;
    rc = to->ops->commit(to, stream->err);
    return rc < 0 ? rc : to->ops->begin(to, stream->err);
}

/* Takes a row. 0 to go on. */
static int
take_row(struct stream *stream, enum table table, struct slice key,
         struct slice value)
{
    struct copy *copy = stream->copy;
    int rc = 0;

    digest_add(stream->digest, &table, sizeof(table));
    digest_add(stream->digest, key.data, key.bytes);
    digest_add(stream->digest, value.data, value.bytes);
    if (stream->to)
        rc = write_row(stream, table, key, value);
    if (rc < 0 || !copy)
        return rc;
    copy->bytes += stream->to ? key.bytes + value.bytes : 0;
    if (++copy->rows % COPY_STEP_ROWS == 0 && copy->go_on &&
        !copy->go_on(copy->context, copy)) {
        return 1;
    }
    return 0;
}

/* Takes all rows of a table; at holds the key that is looked for. */
static int
take_table(struct stream *stream, enum table table, struct buf *at)
{
    struct engine *from = stream->from;
    struct slice found, value;
    int rc;

    buf_reset(at);
    while ((rc = from->ops->seek(from, table, buf_slice(at), &found, &value)) ==
           0) {
        rc = take_row(stream, table, found, value);
        if (rc != 0)
            return rc;
        /* Its key and a byte more is the next one there can be. */
        buf_reset(at);
        buf_add_slice(at, found);
        buf_add_char(at, '\0');
    }
    return rc == E_NOTFOUND ? 0 : fail(stream, from, rc, "read the store");
}

/* Takes all rows. */
static int
take_all(struct stream *stream, unsigned char digest[DIGEST_BYTES])
{
    struct engine *from = stream->from;
    struct buf at = { 0 };
    int rc = 0;

    stream->digest = digest_new();
    if (stream->copy)
        stream->copy->rows = stream->copy->rows_all = 0;
    for (enum table table = 0; stream->copy && table < TABLE_COUNT; table++)
        stream->copy->rows_all += from->ops->rows(from, table);
    for (enum table table = 0; table < TABLE_COUNT && rc == 0; table++)
        rc = take_table(stream, table, &at);
    digest_final(stream->digest, digest);
    digest_free(stream->digest);
    buf_fini(&at);
    return rc;
}

void
store_digest(struct store *store, unsigned char digest[DIGEST_BYTES])
{
    struct stream stream = { .from = store->engine };

    if (take_all(&stream, digest) < 0)
        memset(digest, 0, DIGEST_BYTES);
}

/* ---- files ---- */

static char *
join(const char *path, const char *leaf)
{
    struct buf joined = { 0 };

    buf_addf(&joined, "%s%s", path, leaf);
    return buf_take(&joined);
}

static int
sync_dir(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

    if (fd >= 0) {
        rc = fsync(fd);
        (void)close(fd);
    }
    return rc < 0 ? err_set(err, err_of_errno(errno), "flush %s: %s", path,
                            strerror(errno))
                  : 0;
}

/* The directory that a path is in. */
static char *
parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return mem_dup_str(".");
    return slash == path ? mem_dup_str("/")
                         : mem_dup(path, (size_t)(slash - path));
}

static void
remove_leaf(const char *dir, const char *leaf)
{
    char *path = join(dir, leaf);

    (void)unlink(path);
    free(path);
}

/* Removes what a copy is made of. What cannot be removed does no harm. */
static void
clear(const char *dir)
{
    remove_leaf(dir, DATA_NAME);
    remove_leaf(dir, LOCK_NAME);
    (void)rmdir(dir);
}

static uint64_t
file_bytes(const char *dir)
{
    char *path = join(dir, DATA_NAME);
    struct stat st = { 0 };

    if (stat(path, &st) < 0)
        st.st_size = 0;
    free(path);
    return (uint64_t)st.st_size;
}

/* ---- a copy ---- */

/* What an error of writing is: LMDB calls a write that was cut short, as a disk
 * that fills up does, an error of input or output. */
static int
say_full(const char *dir, int rc, struct err *err)
{
    struct statvfs fs;

    if (rc != E_IO || statvfs(dir, &fs) < 0 ||
        (uint64_t)fs.f_bavail * fs.f_frsize >= COPY_SLICE_BYTES) {
        return rc;
    }
    return err_set(err, E_FULL, "no space is left on the disk");
}

/* Copies all rows of an engine into a directory that is empty. */
static int
write_copy(struct engine *from, const char *dir, uint64_t map_bytes,
           struct copy *copy, unsigned char digest[DIGEST_BYTES],
           struct err *err)
{
    struct stream stream = { .from = from, .copy = copy, .err = err };
    int rc;

    copy->step = COPY_READ;
    stream.to = engine_open_lmdb(dir, true, map_bytes, err);
    if (!stream.to)
        return err->code;
    rc = stream.to->ops->begin(stream.to, err);
    if (rc == 0)
        rc = take_all(&stream, digest);
    if (rc == 0)
        rc = stream.to->ops->commit(stream.to, err);
    stream.to->ops->close(stream.to);
    return say_full(dir, rc, err);
}

/* Reads a copy again, as it is on the disk. */
static int
compare_copy(const char *dir, uint64_t map_bytes, struct copy *copy,
             const unsigned char digest[DIGEST_BYTES], struct err *err)
{
    unsigned char got[DIGEST_BYTES];
    struct stream stream = { .copy = copy, .err = err };
    int rc;

    copy->step = COPY_COMPARE;
    stream.from = engine_open_lmdb(dir, false, map_bytes, err);
    if (!stream.from)
        return err->code;
    rc = stream.from->ops->begin(stream.from, err);
    if (rc == 0)
        rc = take_all(&stream, got);
    stream.from->ops->close(stream.from);
    if (rc == 0 && memcmp(got, digest, sizeof(got)) != 0) {
        rc = err_set(err, E_CORRUPT,
                     "what was written is not what is read back; the disk or "
                     "the memory is faulty");
    }
    return rc;
}

/* ---- backup ---- */

/* Gives back one slice of leases. 1: there are more. */
static int
give_back(struct store *store, struct err *err)
{
    struct lease lease = { 0 };
    struct request request;
    int rc = store_begin(store, store_latest_ms(store), err), count = 0;

    if (rc < 0)
        return rc;
    while (count < GIVE_MAX) {
        rc = store_lease_after(store, lease.request, &lease);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        count++;
        if (store_request_get(store, lease.request, &request) == 0 &&
            request.state == REQUEST_LEASED) {
            store_release(store, &request);
        }
        table_del(store, TABLE_LEASE, key_id(lease.request));
    }
    rc = store_commit(store, err);
    return rc < 0 ? rc : count == GIVE_MAX;
}

static int
forget_workers(struct store *store, struct err *err)
{
    struct worker_row row;
    int rc = store_begin(store, store_latest_ms(store), err);

    if (rc < 0)
        return rc;
    for (;;) {
        rc = store_worker_after(store, NULL, &row);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        store_worker_drop(store, row.uuid);
    }
    return store_commit(store, err);
}

static void
note_rows(struct copy *copy, const struct verify *verify)
{
    copy->rows = verify->rows;
    copy->rows_all = verify->rows_all;
}

static bool
ask_of_verify(void *context, const struct verify *verify)
{
    struct copy *copy = context;

    note_rows(copy, verify);
    return !copy->go_on || copy->go_on(copy->context, copy);
}

/* Makes a store of its own of the copy: what was in flight goes on with the
 * original. */
static int
finish_backup(const char *dir, uint64_t bytes_max, struct copy *copy,
              struct err *err)
{
    static const unsigned char unused[STORE_UUID_BYTES];
    struct store *store = store_open(dir, bytes_max, unused, err);
    int rc;

    if (!store)
        return err->code;
    copy->step = COPY_VERIFY;
    do {
        rc = give_back(store, err);
    } while (rc == 1);
    if (rc == 0)
        rc = forget_workers(store, err);
    if (rc == 0)
        rc = store_begin(store, store_latest_ms(store), err);
    if (rc == 0) {
        copy->verify.go_on = ask_of_verify;
        copy->verify.context = copy;
        rc = store_verify(store, &copy->verify, err);
        note_rows(copy, &copy->verify);
    }
    store_close(store);
    return say_full(dir, rc, err);
}

/* Makes the directory in which a copy grows. The one who has its lock is the
 * only one at it; what an earlier one left is removed. */
static int
begin_partial(const char *partial, int *lock_fd, struct err *err)
{
    if (mkdir(partial, DIR_MODE) < 0 && errno != EEXIST) {
        return err_set(err,
                       errno == EIO                    ? E_IO
                       : err_of_errno(errno) == E_FULL ? E_FULL
                                                       : E_INVALID,
                       "make %s: %s", partial, strerror(errno));
    }
    *lock_fd = open(partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*lock_fd < 0)
        return err_set(err, E_INVALID, "open %s: %s", partial, strerror(errno));
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) < 0) {
        (void)close(*lock_fd);
        *lock_fd = -1;
        return err_set(err, E_CONFLICT,
                       "%s is being written by another process", partial);
    }
    remove_leaf(partial, DATA_NAME);
    remove_leaf(partial, LOCK_NAME);
    return 0;
}

static int
refuse_existing(const char *target, struct err *err)
{
    return err_set(err, E_CONFLICT, "%s exists; name a directory that does not",
                   target);
}

/* Moves a directory to a name that nobody has. */
static int
move_dir(const char *from, const char *to, struct err *err)
{
    struct stat st;
    int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);

    /* A file system that cannot look and move at once. */
    if (rc < 0 && errno == EINVAL) {
        if (lstat(to, &st) == 0)
            return refuse_existing(to, err);
        rc = rename(from, to);
    }
    if (rc < 0 && (errno == EEXIST || errno == ENOTEMPTY))
        return refuse_existing(to, err);
    return rc < 0 ? err_set(err, err_of_errno(errno), "move %s to %s: %s", from,
                            to, strerror(errno))
                  : 0;
}

static int
place_backup(const char *partial, const char *target, struct err *err)
{
    char *parent = parent_of(target);
    int rc;

    remove_leaf(partial, LOCK_NAME);
    rc = sync_dir(partial, err);
    if (rc == 0)
        rc = move_dir(partial, target, err);
    if (rc == 0)
        rc = sync_dir(parent, err);
    free(parent);
    return rc;
}

static bool
ask_of_pages(void *context)
{
    struct copy *copy = context;

    return !copy->go_on || copy->go_on(copy->context, copy);
}

static int
write_backup(struct store *store, const char *partial, struct copy *copy,
             struct err *err)
{
    const struct pages look = { .scope = PAGES_ROWS,
                                .go_on = ask_of_pages,
                                .context = copy };
    uint64_t map_bytes = store_map_bytes(store->bytes_max);
    unsigned char digest[DIGEST_BYTES];
    struct store *snapshot;
    int rc = store_snapshot(store, &look, &snapshot, err);

    if (rc != 0)
        return rc;
    rc = write_copy(snapshot->engine, partial, map_bytes, copy, digest, err);
    store_close(snapshot); /* its pages are free again */
    if (rc == 0)
        rc = compare_copy(partial, map_bytes, copy, digest, err);
    if (rc == 0)
        rc = finish_backup(partial, store->bytes_max, copy, err);
    return rc;
}

int
store_backup(struct store *store, const char *target, struct copy *copy,
             struct err *err)
{
    char *partial = join(target, PARTIAL);
    struct stat st;
    int lock_fd = -1, rc = 0;

    if (lstat(target, &st) == 0)
        rc = refuse_existing(target, err);
    if (rc == 0)
        rc = begin_partial(partial, &lock_fd, err);
    if (rc == 0) {
        rc = write_backup(store, partial, copy, err);
        if (rc == 0)
            rc = place_backup(partial, target, err);
        if (rc == 0)
            copy->file_after = file_bytes(target);
        else
            clear(partial);
    }
    if (rc < 0)
        err_wrap(err, "back up to %s", target);
    if (lock_fd >= 0)
        (void)close(lock_fd);
    free(partial);
    return rc;
}

/* ---- compaction ---- */

/* Copies the store beside itself and compares. */
static int
write_compact(const char *dir, const char *beside, uint64_t bytes_max,
              struct copy *copy, struct err *err)
{
    uint64_t map_bytes = store_map_bytes(bytes_max);
    unsigned char digest[DIGEST_BYTES];
    struct store *store = store_open_checked(dir, bytes_max, PAGES_ROWS, err);
    int rc;

    if (!store)
        return err->code;
    if (mkdir(beside, DIR_MODE) < 0) {
        rc = err_set(err, err_of_errno(errno), "make %s: %s", beside,
                     strerror(errno));
    } else {
        rc = store_begin(store, store_latest_ms(store), err);
        if (rc == 0) {
            rc =
                write_copy(store->engine, beside, map_bytes, copy, digest, err);
        }
    }
    store_close(store);
    return rc == 0 ? compare_copy(beside, map_bytes, copy, digest, err) : rc;
}

/* One rename: before it the store is the old file, after it the new one. */
static int
swap(const char *dir, const char *beside, struct err *err)
{
    char *from = join(beside, DATA_NAME), *to = join(dir, DATA_NAME);
    int rc = sync_dir(beside, err);

    if (rc == 0 && rename(from, to) < 0) {
        rc = err_set(err, err_of_errno(errno), "move %s to %s: %s", from, to,
                     strerror(errno));
    }
    if (rc == 0)
        rc = sync_dir(dir, err);
    free(from);
    free(to);
    return rc;
}

int
store_compact(const char *dir, uint64_t bytes_max, struct copy *copy,
              struct err *err)
{
    char *beside = join(dir, "/" STORE_BESIDE);
    int rc;

    copy->file_before = file_bytes(dir);
    if (copy->file_before == 0) {
        free(beside);
        return err_set(err, E_NOTFOUND, "there is no store in %s", dir);
    }
    rc = write_compact(dir, beside, bytes_max, copy, err);
    if (rc == 0)
        rc = swap(dir, beside, err);
    clear(beside);
    copy->file_after = file_bytes(dir);
    if (rc < 0)
        err_wrap(err, "compact %s", dir);
    free(beside);
    return rc;
}
