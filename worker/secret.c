/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero, memmem, unsetenv */
#include "worker/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/redact.h"

#define DIRECTORY_VARIABLE "CREDENTIALS_DIRECTORY"

/* What a file, or the directory it is in, must not allow. */
#define OTHERS 0077 /* permissions of group and others */
/* systemd gives the service's user its right by an access list, whose mask
 * stands where the group's permissions do: a group that reads is none. */
#define STRANGERS 0027

static void
wipe(char **data, size_t *bytes)
{
    if (*data)
        explicit_bzero(*data, *bytes);
    free(*data);
    *data = NULL;
    *bytes = 0;
}

void
secret_fini(struct secret *secret)
{
    wipe(&secret->data, &secret->bytes);
    wipe(&secret->before, &secret->before_bytes);
}

void
secret_drop(struct secret *secret)
{
    if (secret->bytes == 0)
        return;
    wipe(&secret->before, &secret->before_bytes);
    *secret = (struct secret){ .before = secret->data,
                               .before_bytes = secret->bytes };
}

static int
check(struct slice value, struct err *err)
{
    if (value.bytes == 0)
        return err_set(err, E_INVALID, "is empty");
    if (value.bytes > SECRET_BYTES_MAX) {
        return err_set(err, E_INVALID, "is longer than %d bytes",
                       SECRET_BYTES_MAX);
    }
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char c = (unsigned char)value.data[i];

        if (c < 0x20 || c == 0x7f)
            return err_set(err, E_INVALID, "holds a control character");
    }
    return 0;
}

int
secret_set(struct secret *secret, struct slice value, struct err *err)
{
    int rc = check(value, err);

    if (rc < 0)
        return rc;
    if (slice_equal(secret_peek(secret), value))
        return 0;
    secret_drop(secret);
    secret->data = mem_dup(value.data, value.bytes);
    secret->bytes = value.bytes;
    return 0;
}

static int
check_mode(int fd, mode_t denied, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_INVALID, "not a regular file");
    if (st.st_mode & denied) {
        return err_set(err, E_INVALID,
                       "others have access to it (mode %04o); it must be 0600 "
                       "or 0400",
                       (unsigned)(st.st_mode & ALLPERMS));
    }
    return 0;
}

static int
read_all(int fd, char *data, size_t *bytes, struct err *err)
{
    *bytes = 0;
    for (;;) {
        ssize_t got = read(fd, data + *bytes, SECRET_BYTES_MAX + 1 - *bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, E_IO, "%s", strerror(errno));
        if (got == 0)
            return 0;
        *bytes += (size_t)got;
        if (*bytes > SECRET_BYTES_MAX)
            return 0; /* check() refuses it */
    }
}

/* Reads a file whose mode has none of the bits `denied`, and closes it. */
static int
read_open(struct secret *secret, int fd, mode_t denied, struct err *err)
{
    char data[SECRET_BYTES_MAX + 1];
    size_t bytes = 0;
    int rc;

    if (fd < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    rc = check_mode(fd, denied, err);
    if (rc == 0)
        rc = read_all(fd, data, &bytes, err);
    close(fd);
    if (rc == 0) {
        while (bytes && (data[bytes - 1] == '\n' || data[bytes - 1] == '\r'))
            bytes--;
        rc = secret_set(secret, (struct slice){ data, bytes }, err);
    }
    explicit_bzero(data, sizeof(data));
    return rc;
}

/* The directory must be systemd's doing, or ours: who can write to it chooses
 * the credential. */
static int
check_directory(int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, E_INVALID, "is another user's");
    if (st.st_mode & STRANGERS) {
        return err_set(err, E_INVALID,
                       "others have access to it (mode %04o); it must be 0700 "
                       "or 0500",
                       (unsigned)(st.st_mode & ALLPERMS));
    }
    return 0;
}

static int
read_credential(struct secret *secret, const char *name, struct err *err)
{
    const char *path = getenv(DIRECTORY_VARIABLE);
    int directory, rc;

    if (!path || *path != '/') {
        return err_set(err, E_INVALID,
                       DIRECTORY_VARIABLE
                       " names no directory; the service needs "
                       "LoadCredential=%s:FILE",
                       name);
    }
    directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return err_set(err, E_IO, DIRECTORY_VARIABLE " %s: %s", path,
                       strerror(errno));
    }
    rc = check_directory(directory, err);
    if (rc < 0)
        rc = err_wrap(err, DIRECTORY_VARIABLE " %s", path);
    else
        rc = read_open(secret,
                       openat(directory, name,
                              O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW),
                       STRANGERS, err);
    close(directory);
    return rc;
}

int
secret_read(struct secret *secret, const struct secret_source *source,
            struct err *err)
{
    const char *value;

    /* A pipe must not hold us up before it is seen to be none. */
    if (source->file) {
        return read_open(secret,
                         open(source->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
                         OTHERS, err);
    }
    if (source->credential)
        return read_credential(secret, source->credential, err);
    value = source->variable ? getenv(source->variable) : NULL;
    return value ? secret_set(secret, slice_of(value), err) : 0;
}

void
secret_forget_variable(const char *name)
{
    char *value = getenv(name);

    if (value)
        explicit_bzero(value, strlen(value));
    unsetenv(name);
}

struct slice
secret_peek(const struct secret *secret)
{
    return (struct slice){ secret->data, secret->bytes };
}

static void
replace(struct buf *text, struct slice value)
{
    struct buf out = { 0 };
    const char *at = text->data, *end = text->data + text->bytes, *hit;

    if (value.bytes == 0 || text->bytes == 0)
        return;
    while (at < end &&
           (hit = memmem(at, (size_t)(end - at), value.data, value.bytes))) {
        buf_add(&out, at, (size_t)(hit - at));
        buf_add_str(&out, REDACT_MARK);
        at = hit + value.bytes;
    }
    buf_add(&out, at, (size_t)(end - at));
    buf_fini(text);
    *text = out;
}

void
secret_hide(const struct secret *secret, struct buf *text)
{
    replace(text, secret_peek(secret));
    replace(text, (struct slice){ secret->before, secret->before_bytes });
}

static void
mask(struct buf *text, struct slice value)
{
    char *at = text->data, *end = text->data + text->bytes, *hit;

    if (value.bytes < SECRET_MASK_BYTES_MIN || text->bytes == 0)
        return;
    while ((hit = memmem(at, (size_t)(end - at), value.data, value.bytes))) {
        memset(hit, '*', value.bytes);
        at = hit + value.bytes;
    }
}

void
secret_mask(const struct secret *secret, struct buf *text)
{
    mask(text, secret_peek(secret));
    mask(text, (struct slice){ secret->before, secret->before_bytes });
}
