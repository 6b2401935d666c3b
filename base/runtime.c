/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_PATH */
#include "base/runtime.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS 0077 /* permissions of group and others */

static void
add_path(struct buf *out)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");

    /* A relative one is to be ignored, by the specification it comes from. */
    if (xdg && xdg[0] == '/')
        buf_addf(out, "%s/sheaf", xdg);
    else if (geteuid() == 0)
        buf_add_str(out, "/run/sheaf");
    else
        buf_addf(out, "/tmp/sheaf-%lu", (unsigned long)geteuid());
}

/* What was opened is what is judged: a link planted under the name in a
 * directory that all can write to is not followed. */
static int
check(const char *path, struct err *err)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int rc;

    if (fd < 0 && errno == ENOTDIR)
        return err_set(err, E_INVALID, "%s: not a directory", path);
    if (fd < 0)
        return err_set(err, E_IO, "open %s: %s", path, strerror(errno));
    rc = fstat(fd, &st);
    close(fd);
    if (rc < 0)
        return err_set(err, E_IO, "stat %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid()) {
        return err_set(err, E_INVALID, "%s: belongs to user %lu, not to us",
                       path, (unsigned long)st.st_uid);
    }
    if (st.st_mode & OTHERS) {
        return err_set(err, E_INVALID,
                       "%s: others can enter it (mode %04o); it must be 0700",
                       path, (unsigned)(st.st_mode & ALLPERMS));
    }
    return 0;
}

int
runtime_dir(struct buf *out, struct err *err)
{
    struct buf path = { 0 };
    int rc = 0;

    add_path(&path);
    if (mkdir(path.data, S_IRWXU) < 0 && errno != EEXIST)
        rc = err_set(err, E_IO, "make %s: %s", path.data, strerror(errno));
    if (rc == 0)
        rc = check(path.data, err);
    if (rc == 0)
        buf_add_slice(out, buf_slice(&path));
    else
        err_wrap(err, "runtime directory");
    buf_fini(&path);
    return rc;
}

int
runtime_endpoint(const char *leaf, struct buf *out, struct err *err)
{
    struct buf dir = { 0 };
    int rc = runtime_dir(&dir, err);

    if (rc == 0)
        buf_addf(out, "ipc://%s/%s", dir.data, leaf);
    buf_fini(&dir);
    return rc;
}

/* True if out holds the path of a file that we may execute. */
static bool
is_program(const struct buf *path)
{
    struct stat st;

    return stat(path->data, &st) == 0 && S_ISREG(st.st_mode) &&
           access(path->data, X_OK) == 0;
}

/* Tries DIR/NAME; true if that is it, and `path` holds it. */
static bool
try_dir(struct slice dir, const char *name, struct buf *path)
{
    buf_reset(path);
    buf_add_slice(path, dir);
    buf_add_char(path, '/');
    buf_add_str(path, name);
    return is_program(path);
}

static bool
find_near(const char *name, struct buf *path)
{
    static const char *const relatives[] = { "", "/../bin", "/../sbin" };
    char self[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
    bool is_found = false;
    char *slash;

    if (bytes <= 0)
        return false;
    self[bytes] = '\0';
    slash = strrchr(self, '/');
    if (!slash)
        return false;
    for (size_t i = 0; i < sizeof(relatives) / sizeof(relatives[0]); i++) {
        struct buf dir = { 0 };

        buf_add(&dir, self, (size_t)(slash - self));
        buf_add_str(&dir, relatives[i]);
        is_found = try_dir(buf_slice(&dir), name, path);
        buf_fini(&dir);
        if (is_found)
            break;
    }
    return is_found;
}

static bool
find_on_path(const char *name, struct buf *path)
{
    const char *at = getenv("PATH");

    while (at && *at) {
        size_t bytes = strcspn(at, ":");

        /* An empty or relative entry means the current directory, which may
         * be anybody's. */
        if (*at == '/' && try_dir((struct slice){ at, bytes }, name, path))
            return true;
        at += bytes;
        if (*at == ':')
            at++;
    }
    return false;
}

int
runtime_find_program(const char *name, struct buf *out, struct err *err)
{
    struct buf path = { 0 };
    int rc = 0;

    assert(!strchr(name, '/'));
    if (find_near(name, &path) || find_on_path(name, &path)) {
        buf_add_slice(out, buf_slice(&path));
    } else {
        rc = err_set(err, E_NOTFOUND,
                     "%s: not beside this program and not on PATH", name);
    }
    buf_fini(&path);
    return rc;
}

int
runtime_default_store(const char *option, struct buf *out, struct err *err)
{
    const char *given = getenv("SHEAF_STORE");
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (given && *given) {
        buf_add_str(out, given);
    } else if (state && state[0] == '/') {
        buf_addf(out, "%s/sheaf", state);
    } else if (home && home[0] == '/') {
        buf_addf(out, "%s/.local/state/sheaf", home);
    } else {
        return err_set(err, E_USAGE,
                       "find the store: HOME is not set; name a directory with "
                       "%s",
                       option);
    }
    return 0;
}
