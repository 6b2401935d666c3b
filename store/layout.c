/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define FILE_MODE  0600
#define LOCK_BYTES 8192 /* of lock.mdb: 126 readers, LMDB's default */

/* The two first pages say how the file is laid out; the one with the newer
 * transaction counts. LMDB checks their magic numbers, but divides by the page
 * size whatever it is, and a file that ends before its last page would kill us
 * with SIGBUS later. */
#define META_COUNT     2
#define META_MAGIC     0xBEEFC0DEu
#define META_MAGIC_AT  16
#define META_PAGE_AT   40
#define META_LAST_AT   136 /* the number of the last page */
#define META_TXN_AT    144
#define META_BYTES     152
#define PAGE_BYTES_MAX 65536u

struct layout {
    uint32_t page_bytes;
    uint64_t txn, last_page;
};

static bool
read_layout(int fd, struct layout *layout)
{
    unsigned char meta[META_BYTES];
    struct layout one = { 0 };
    uint32_t magic;

    *layout = one;
    for (int i = 0; i < META_COUNT; i++) {
        if (pread(fd, meta, sizeof(meta), (off_t)one.page_bytes * i) !=
            (ssize_t)sizeof(meta)) {
            return false;
        }
        memcpy(&magic, meta + META_MAGIC_AT, sizeof(magic));
        memcpy(&one.page_bytes, meta + META_PAGE_AT, sizeof(one.page_bytes));
        memcpy(&one.last_page, meta + META_LAST_AT, sizeof(one.last_page));
        memcpy(&one.txn, meta + META_TXN_AT, sizeof(one.txn));
        if (magic != META_MAGIC || one.page_bytes < LAYOUT_PAGE_BYTES_MIN ||
            one.page_bytes > PAGE_BYTES_MAX ||
            (one.page_bytes & (one.page_bytes - 1))) {
            return false;
        }
        if (i == 0 || one.txn > layout->txn)
            *layout = one;
    }
    return true;
}

static int
check_layout(int fd, uint64_t file_bytes, struct err *err)
{
    struct layout layout;

    if (file_bytes == 0) {
        /* LMDB would take it for a new one. */
        return err_set(err, E_CORRUPT,
                       "data.mdb is empty; restore it from a backup");
    }
    if (!read_layout(fd, &layout)) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is damaged, or is not an LMDB file; nothing "
                       "was changed");
    }
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
layout_check(const char *dir, struct err *err)
{
    struct buf path = { 0 };
    struct stat st = { 0 };
    int fd, rc;

    buf_addf(&path, "%s/data.mdb", dir);
    fd = open(path.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = err_set(err, E_IO, "open %s: %s", path.data, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = err_set(err, E_CORRUPT, "%s is not a file", path.data);
    else
        rc = check_layout(fd, (uint64_t)st.st_size, err);
    if (fd >= 0)
        close(fd);
    buf_fini(&path);
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
        bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

        rc = err_set(err, is_full ? E_FULL : E_IO, "make %s: %s", path.data,
                     strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&path);
    return rc;
}
