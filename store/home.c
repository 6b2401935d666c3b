/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define DIR_MODE        0700
#define FILE_MODE       0600
#define LOCK_TEXT_BYTES 512

struct home {
    char *dir;
    int lock_fd;
    int dir_fd;
    dev_t device; /* of data.mdb, once it was seen */
    ino_t inode;
};

/* Makes the directory and those above it, as mkdir -p does. */
static int
make_dirs(const char *dir, struct err *err)
{
    char *path = mem_dup_str(dir);
    int rc = 0;

    for (char *at = path + 1; rc == 0; at++) {
        char saved = *at;

        if (saved != '/' && saved != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
            rc = err_set(err, E_IO, "make %s: %s", path, strerror(errno));
        *at = saved;
        if (saved == '\0')
            break;
    }
    free(path);
    return rc;
}

/* LMDB's locks and its map need a local file system. */
static int
check_file_system(const char *dir, int fd, struct err *err)
{
    static const struct {
        long type;
        const char *name;
    } refused[] = { { 0x6969, "NFS" },
                    { 0x517b, "SMB" },
                    { 0xff534d42, "CIFS" },
                    { 0xfe534d42, "SMB2" },
                    { 0x01021997, "9p" } };
    struct statfs info;

    if (fstatfs(fd, &info) < 0)
        return err_set(err, E_IO, "%s: %s", dir, strerror(errno));
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if ((long)info.f_type == refused[i].type) {
            return err_set(err, E_USAGE,
                           "%s: is on %s; a store needs a local disk", dir,
                           refused[i].name);
        }
    }
    return 0;
}

static int
open_dir(struct home *home, struct err *err)
{
    struct stat info;

    home->dir_fd = open(home->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home->dir_fd < 0) {
        return err_set(err, errno == ENOTDIR ? E_USAGE : E_IO, "open %s: %s",
                       home->dir, strerror(errno));
    }
    if (fstat(home->dir_fd, &info) < 0)
        return err_set(err, E_IO, "%s: %s", home->dir, strerror(errno));
    if (info.st_uid != geteuid()) {
        return err_set(err, E_USAGE, "%s: belongs to user %u, not to us",
                       home->dir, (unsigned)info.st_uid);
    }
    if (info.st_mode & 077) {
        return err_set(err, E_USAGE,
                       "%s: is open to others; close it with chmod 700 %s",
                       home->dir, home->dir);
    }
    return check_file_system(home->dir, home->dir_fd, err);
}

static int
take_lock(struct home *home, struct err *err)
{
    char text[LOCK_TEXT_BYTES] = "";
    ssize_t bytes;

    home->lock_fd =
        openat(home->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
               FILE_MODE);
    if (home->lock_fd < 0)
        return err_set(err, E_IO, "open %s/lock: %s", home->dir,
                       strerror(errno));
    if (flock(home->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return err_set(err, E_IO, "lock %s/lock: %s", home->dir,
                       strerror(errno));
    bytes = pread(home->lock_fd, text, sizeof(text) - 1, 0);
    text[bytes > 0 ? bytes : 0] = '\0';
    for (char *at = text; *at; at++) {
        if (*at == '\n')
            *at = at[1] ? ',' : '\0';
    }
    return err_set(err, E_INUSE, "store %s is in use by another broker%s%s",
                   home->dir, *text ? ": " : "", text);
}

struct home *
home_open(const char *dir, struct err *err)
{
    struct home *home = mem_zalloc(1, sizeof(*home));

    home->dir = mem_dup_str(dir);
    home->lock_fd = home->dir_fd = -1;
    if (make_dirs(dir, err) < 0 || open_dir(home, err) < 0 ||
        take_lock(home, err) < 0) {
        if (home->lock_fd >= 0)
            (void)close(home->lock_fd);
        home->lock_fd = -1; /* not ours to empty */
        home_close(home);
        return NULL;
    }
    return home;
}

int
home_publish(struct home *home, const char *endpoint, struct err *err)
{
    struct buf text = { 0 };
    int rc = 0;

    buf_addf(&text, "pid %ld\nendpoint %s\n", (long)getpid(), endpoint);
    if (ftruncate(home->lock_fd, 0) < 0 ||
        pwrite(home->lock_fd, text.data, text.bytes, 0) !=
            (ssize_t)text.bytes) {
        rc =
            err_set(err, E_IO, "write %s/lock: %s", home->dir, strerror(errno));
    }
    buf_fini(&text);
    return rc;
}

int
home_check(struct home *home, struct err *err)
{
    struct stat info;

    if (fstatat(home->dir_fd, "data.mdb", &info, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(err, E_IO, "%s/data.mdb: %s", home->dir,
                       strerror(errno));
    if (home->inode == 0) {
        home->device = info.st_dev;
        home->inode = info.st_ino;
    }
    if (home->device != info.st_dev || home->inode != info.st_ino)
        return err_set(err, E_IO, "%s/data.mdb was replaced under us",
                       home->dir);
    return 0;
}

void
home_close(struct home *home)
{
    if (!home)
        return;
    if (home->lock_fd >= 0) {
        /* Nobody is to be sent to an endpoint that is gone. */
        if (ftruncate(home->lock_fd, 0) < 0)
            (void)errno;
        (void)close(home->lock_fd);
    }
    if (home->dir_fd >= 0)
        (void)close(home->dir_fd);
    free(home->dir);
    free(home);
}
