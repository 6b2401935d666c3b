/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_PATH, fallocate */
#include "store/home.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define LOCK_NAME      "lock"
#define DATA_NAME      "data.mdb"
#define OTHERS         0077 /* permissions of group and others */
#define TEXT_BYTES_MAX 4096
#define PATH_BYTES_MAX 4096

/* A client looks whether the lock is held by taking it, shared, for a moment
 * (submit/private.c): such a moment is no reason to give up. */
#define LOCK_TRIES   20
#define LOCK_WAIT_NS 10000000

struct home {
    int dir_fd;
    int lock_fd;
    struct stat data; /* data.mdb as it was published */
    bool has_data;
};

bool
home_is_remote(long type)
{
    static const unsigned remotes[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB2 */
        0x01021997, /* 9P */
        0x5346414f, /* AFS */
        0x6b414653, /* kAFS */
        0x73757245, /* Coda */
        0x00c36400, /* Ceph */
        0x0bd00bd0, /* Lustre */
        0x47504653, /* GPFS */
        0x7461636f, /* OCFS2 */
        0x01161970, /* GFS2 */
    };

    /* f_type is signed, and the kernel's numbers have 32 bits. */
    for (size_t i = 0; i < sizeof(remotes) / sizeof(remotes[0]); i++) {
        if ((unsigned)type == remotes[i])
            return true;
    }
    return false;
}

/* Makes the name of a new directory durable: flushes the one it is in. */
static int
sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == path ? mem_dup_str("/")
                   : slash       ? mem_dup(path, (size_t)(slash - path))
                                 : mem_dup_str(".");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

    if (fd >= 0) {
        rc = fsync(fd);
        close(fd);
    }
    free(parent);
    return rc;
}

/* Makes a directory and the parents that it lacks. */
static int
make_dir(char *path, struct err *err)
{
    for (char *at = path + 1;; at++) {
        char end = *at;
        int rc;

        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        rc = mkdir(path, S_IRWXU);
        if (rc == 0)
            rc = sync_parent(path);
        else if (errno == EEXIST)
            rc = 0;
        if (rc < 0)
            return err_set(err, err_of_errno(errno), "make %s: %s", path,
                           strerror(errno));
        *at = end;
        if (end == '\0')
            return 0;
    }
}

/* What was opened is what is judged. */
static int
check_dir(int fd, const char *path, struct err *err)
{
    struct statfs fs;
    struct stat st;

    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return err_set(err, E_IO, "look at %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid()) {
        return err_set(
            err, E_USAGE,
            "%s belongs to user %lu, not to user %lu; choose another "
            "directory",
            path, (unsigned long)st.st_uid, (unsigned long)geteuid());
    }
    if (st.st_mode & OTHERS) {
        return err_set(err, E_USAGE,
                       "%s is open to others (mode %04o); run: chmod 700 %s",
                       path, (unsigned)(st.st_mode & 07777), path);
    }
    if (home_is_remote((long)fs.f_type)) {
        return err_set(err, E_USAGE,
                       "%s is on a network file system; a store needs a local "
                       "one",
                       path);
    }
    return 0;
}

/* Only files may bear the names of LMDB's files. */
static int
check_leaf(int dir_fd, const char *path, const char *leaf, struct err *err)
{
    struct stat st;

    if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return err_set(err, E_IO, "look at %s/%s: %s", path, leaf,
                       strerror(errno));
    }
    if (S_ISREG(st.st_mode))
        return 0;
    return err_set(err, E_USAGE,
                   "%s/%s is %s; a store's files stand there "
                   "themselves",
                   path, leaf,
                   S_ISLNK(st.st_mode) ? "a symbolic link" : "no file");
}

static int
open_dir(struct home *home, char *path, struct err *err)
{
    int rc = make_dir(path, err);

    if (rc < 0)
        return rc;
    home->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (home->dir_fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        return err_set(err, E_USAGE,
                       "%s is a symbolic link or no directory; name the "
                       "directory itself",
                       path);
    }
    if (home->dir_fd < 0)
        return err_set(err, E_IO, "open %s: %s", path, strerror(errno));
    rc = check_dir(home->dir_fd, path, err);
    if (rc == 0)
        rc = check_leaf(home->dir_fd, path, DATA_NAME, err);
    if (rc == 0)
        rc = check_leaf(home->dir_fd, path, "lock.mdb", err);
    if (rc == 0)
        rc = check_leaf(home->dir_fd, path, LOCK_NAME, err);
    return rc;
}

/* Somebody has the lock; the file says who, if he has written it yet. */
static int
refuse_used(int fd, const char *path, struct err *err)
{
    char text[TEXT_BYTES_MAX];
    ssize_t bytes = pread(fd, text, sizeof(text), 0);
    struct slice all = { text, bytes > 0 ? (size_t)bytes : 0 };
    struct slice pid = slice_find_line(all, "pid ");
    struct slice endpoint = slice_find_line(all, "endpoint ");

    if (pid.bytes == 0 || endpoint.bytes == 0)
        return err_set(err, E_INUSE, "%s is in use by another process", path);
    return err_set(err, E_INUSE, "%s is in use by process %.*s (%.*s)", path,
                   (int)pid.bytes, pid.data, (int)endpoint.bytes,
                   endpoint.data);
}

/* The room that its text needs stays the file's, where the file system can do
 * that: a broker must start on a disk that others have filled, too. */
static int
empty_lock(int fd)
{
    if (ftruncate(fd, 0) < 0)
        return -1;
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, TEXT_BYTES_MAX);
    return 0;
}

static int
take_lock(struct home *home, const char *path, struct err *err)
{
    const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };
    int rc = -1;

    home->lock_fd =
        openat(home->dir_fd, LOCK_NAME,
               O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (home->lock_fd < 0)
        return err_set(err, err_of_errno(errno), "open %s/" LOCK_NAME ": %s",
                       path, strerror(errno));
    for (int i = 0; i < LOCK_TRIES && rc < 0; i++) {
        rc = flock(home->lock_fd, LOCK_EX | LOCK_NB);
        if (rc < 0 && errno != EWOULDBLOCK)
            return err_set(err, E_IO, "lock %s/" LOCK_NAME ": %s", path,
                           strerror(errno));
        if (rc < 0)
            (void)nanosleep(&wait, NULL);
    }
    if (rc < 0)
        return refuse_used(home->lock_fd, path, err);
    /* Whoever was here before and was killed did not clear it. */
    if (empty_lock(home->lock_fd) < 0)
        return err_set(err, err_of_errno(errno), "empty %s/" LOCK_NAME ": %s",
                       path, strerror(errno));
    return home_check(home, err);
}

struct home *
home_open(const char *dir, struct err *err)
{
    size_t bytes = strlen(dir);
    struct home *home;
    char *path;

    if (bytes == 0 || bytes >= PATH_BYTES_MAX) {
        err_set(err, E_USAGE, "the store's directory has %s name",
                bytes ? "too long a" : "no");
        return NULL;
    }
    home = mem_zalloc(1, sizeof(*home));
    home->dir_fd = -1;
    home->lock_fd = -1;
    /* A slash at the end would lead through a link. */
    while (bytes > 1 && dir[bytes - 1] == '/')
        bytes--;
    path = mem_dup(dir, bytes);
    if (open_dir(home, path, err) < 0 || take_lock(home, path, err) < 0) {
        if (home->lock_fd >= 0)
            close(home->lock_fd); /* the text may be somebody else's */
        home->lock_fd = -1;
        home_close(home);
        home = NULL;
    }
    free(path);
    return home;
}

/* Writes text over what is there. A reader may see it grow, but no line of the
 * old one: the file was empty or begins with the same lines. */
static int
write_text(int fd, struct slice text)
{
    ssize_t bytes = pwrite(fd, text.data, text.bytes, 0);

    if (bytes >= 0 && (size_t)bytes != text.bytes) {
        errno = ENOSPC;
        return -1;
    }
    return bytes < 0 ? -1 : ftruncate(fd, (off_t)text.bytes);
}

int
home_publish(struct home *home, const char *endpoint, struct err *err)
{
    struct buf text = { 0 };
    int rc;

    assert(!strchr(endpoint, '\n'));
    if (fstatat(home->dir_fd, DATA_NAME, &home->data, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(err, E_IO, "look at " DATA_NAME ": %s", strerror(errno));
    home->has_data = true;
    buf_addf(&text, "pid %ld\nendpoint %s\n", (long)getpid(), endpoint);
    rc = write_text(home->lock_fd, buf_slice(&text));
    buf_fini(&text);
    if (rc < 0) {
        return err_set(err, err_of_errno(errno), "write " LOCK_NAME ": %s",
                       strerror(errno));
    }
    return 0;
}

static bool
is_same(int dir_fd, const char *leaf, const struct stat *was)
{
    struct stat st;

    return fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == was->st_dev && st.st_ino == was->st_ino;
}

int
home_check(struct home *home, struct err *err)
{
    struct stat lock;

    if (fstat(home->lock_fd, &lock) < 0)
        return err_set(err, E_IO, "look at " LOCK_NAME ": %s", strerror(errno));
    if (!is_same(home->dir_fd, LOCK_NAME, &lock))
        return err_set(err, E_IO,
                       "the file " LOCK_NAME " was removed or replaced");
    if (home->has_data && !is_same(home->dir_fd, DATA_NAME, &home->data))
        return err_set(err, E_IO,
                       "the file " DATA_NAME " was removed or replaced");
    return 0;
}

void
home_close(struct home *home)
{
    if (!home)
        return;
    if (home->lock_fd >= 0) {
        /* A text that stays is harmless without the lock. */
        (void)empty_lock(home->lock_fd);
        close(home->lock_fd);
    }
    if (home->dir_fd >= 0)
        close(home->dir_fd);
    free(home);
}
