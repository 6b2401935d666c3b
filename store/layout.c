/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/layout.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/page.h"

#define FILE_MODE  0600
#define LOCK_BYTES 8192 /* of lock.mdb: 126 readers, LMDB's default */

/* The two first pages say how the file is laid out; the one with the newer
 * transaction counts, and transactions take turns. LMDB checks their magic
 * numbers, but divides by the page size whatever it is, and a file that ends
 * before its last page would kill us with SIGBUS later. */
#define META_COUNT    2
#define META_MAGIC    0xBEEFC0DEu
#define META_MAGIC_AT 16
#define META_FREE_AT  40 /* a tree's record, which begins with the page's size */
#define META_MAIN_AT  (META_FREE_AT + LAYOUT_TREE_BYTES)
#define META_LAST_AT  136 /* the number of the last page */
#define META_TXN_AT   144
#define META_BYTES    152

#define TREE_FLAGS_AT 4
#define TREE_DEPTH_AT 6
#define TREE_ROWS_AT  32
#define TREE_ROOT_AT  40

struct layout_tree
layout_tree(const unsigned char bytes[LAYOUT_TREE_BYTES])
{
    struct layout_tree tree;
    uint16_t flags, depth;

    memcpy(&flags, bytes + TREE_FLAGS_AT, sizeof(flags));
    memcpy(&depth, bytes + TREE_DEPTH_AT, sizeof(depth));
    memcpy(&tree.rows, bytes + TREE_ROWS_AT, sizeof(tree.rows));
    memcpy(&tree.root, bytes + TREE_ROOT_AT, sizeof(tree.root));
    tree.flags = flags;
    tree.depth = depth;
    return tree;
}

static int
refuse_damaged(struct err *err)
{
    return err_set(err, E_CORRUPT,
                   "data.mdb is damaged, or is not an LMDB file; nothing "
                   "was changed");
}

static int
read_meta(int fd, off_t at, struct layout *layout, struct err *err)
{
    unsigned char meta[META_BYTES];
    ssize_t bytes = pread(fd, meta, sizeof(meta), at);
    uint32_t magic;

    if (bytes < 0)
        return err_set(err, E_IO, "read data.mdb: %s", strerror(errno));
    if (bytes != (ssize_t)sizeof(meta))
        return refuse_damaged(err);
    memcpy(&magic, meta + META_MAGIC_AT, sizeof(magic));
    memcpy(&layout->page_bytes, meta + META_FREE_AT,
           sizeof(layout->page_bytes));
    memcpy(&layout->last_page, meta + META_LAST_AT, sizeof(layout->last_page));
    memcpy(&layout->txn, meta + META_TXN_AT, sizeof(layout->txn));
    layout->free = layout_tree(meta + META_FREE_AT);
    layout->main = layout_tree(meta + META_MAIN_AT);
    return magic == META_MAGIC && layout->page_bytes >= PAGE_BYTES_MIN &&
                   layout->page_bytes <= PAGE_BYTES_MAX &&
                   (layout->page_bytes & (layout->page_bytes - 1)) == 0
               ? 0
               : refuse_damaged(err);
}

static int
read_metas(int fd, struct layout metas[META_COUNT], struct err *err)
{
    off_t at = 0;
    int rc = 0;

    for (int i = 0; i < META_COUNT && rc == 0; i++) {
        rc = read_meta(fd, at, &metas[i], err);
        if (rc == 0 && metas[i].page_bytes != metas[0].page_bytes)
            rc = refuse_damaged(err);
        at += metas[i].page_bytes;
    }
    return rc;
}

int
layout_read(int fd, uint64_t txn, struct layout *layout, struct err *err)
{
    struct layout metas[META_COUNT] = { 0 };
    int rc = read_metas(fd, metas, err);

    if (rc < 0)
        return rc;
    for (int i = 0; i < META_COUNT; i++) {
        *layout = metas[i];
        if (txn ? metas[i].txn == txn : metas[i].txn >= metas[!i].txn)
            return 0;
    }
    return err_set(err, E_NOTFOUND, "transaction %llu is over",
                   (unsigned long long)txn);
}

/* Of a wrong number the other page would count: a store that is a commit older. */
static bool
are_neighbours(const struct layout metas[META_COUNT])
{
    uint64_t even = metas[0].txn, odd = metas[1].txn;

    if (even == 0 && odd == 0) /* nothing was ever committed */
        return true;
    return even % 2 == 0 && (odd == even + 1 || odd + 1 == even);
}

static int
check_layout(int fd, uint64_t file_bytes, struct err *err)
{
    struct layout metas[META_COUNT] = { 0 }, layout;
    int rc;

    if (file_bytes == 0) {
        /* LMDB would take it for a new one. */
        return err_set(err, E_CORRUPT,
                       "data.mdb is empty; restore it from a backup");
    }
    rc = read_metas(fd, metas, err);
    if (rc < 0)
        return rc;
    if (!are_neighbours(metas)) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is damaged: its first two pages do not "
                       "belong together; restore it from a backup");
    }
    layout = metas[metas[1].txn > metas[0].txn];
    assert(layout.page_bytes > 0);
    if (file_bytes / layout.page_bytes <= layout.last_page) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is cut short: page %llu of %llu is its last; "
                       "restore it from a backup",
                       (unsigned long long)(file_bytes / layout.page_bytes),
                       (unsigned long long)layout.last_page + 1);
    }
    return 0;
}

int
layout_open(const char *dir, uint64_t *file_bytes, struct err *err)
{
    struct buf path = { 0 };
    struct stat st = { 0 };
    int fd, rc;

    buf_addf(&path, "%s/data.mdb", dir);
    rc = fd = open(path.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = err_set(err, E_IO, "open %s: %s", path.data, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = err_set(err, E_CORRUPT, "%s is not a file", path.data);
    if (rc < 0 && fd >= 0)
        close(fd);
    buf_fini(&path);
    *file_bytes = (uint64_t)st.st_size;
    return rc;
}

int
layout_check(const char *dir, struct err *err)
{
    uint64_t file_bytes;
    int fd = layout_open(dir, &file_bytes, err), rc;

    if (fd < 0)
        return fd;
    rc = check_layout(fd, file_bytes, err);
    close(fd);
    return rc;
}

/* LMDB maps this file, and writes to it: without room on the disk that would
 * kill us with SIGBUS. Some file systems cannot say that there is room. */
int
layout_reserve(const char *dir, struct err *err)
{
    struct buf path = { 0 };
    int fd, rc = 0;

    buf_addf(&path, "%s/lock.mdb", dir);
    fd = open(path.data, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
              FILE_MODE);
    if (fd < 0 ||
        (fallocate(fd, 0, 0, LOCK_BYTES) < 0 && errno != EOPNOTSUPP)) {
        rc = err_set(err, err_of_errno(errno), "make %s: %s", path.data,
                     strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&path);
    return rc;
}
