/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero, memmem, unsetenv */
#include "worker/key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/redact.h"

#define OTHERS 0077 /* permissions of group and others */

struct key {
    char *data; /* NULL if there is none */
    size_t bytes;
};

struct keys {
    const struct conf *conf;              /* borrowed */
    struct key items[CONF_UPSTREAMS_MAX]; /* as the upstreams */
};

static int
check(struct slice key, struct err *err)
{
    if (key.bytes == 0)
        return err_set(err, E_INVALID, "holds no key");
    if (key.bytes > KEY_BYTES_MAX)
        return err_set(err, E_INVALID, "longer than %d bytes", KEY_BYTES_MAX);
    for (size_t i = 0; i < key.bytes; i++) {
        unsigned char c = (unsigned char)key.data[i];

        if (c < 0x20 || c == 0x7f)
            return err_set(err, E_INVALID, "holds a control character");
    }
    return 0;
}

/* Says what is wrong with the file, as it was opened. */
static int
check_file(int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_INVALID, "not a regular file");
    if (st.st_mode & OTHERS) {
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
        ssize_t got = read(fd, data + *bytes, KEY_BYTES_MAX + 1 - *bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, E_IO, "%s", strerror(errno));
        if (got == 0)
            return 0;
        *bytes += (size_t)got;
        if (*bytes > KEY_BYTES_MAX)
            return 0; /* check() refuses it */
    }
}

static int
read_file(const char *path, struct key *key, struct err *err)
{
    /* A pipe must not hold us up before it is seen to be none. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char data[KEY_BYTES_MAX + 1];
    size_t bytes = 0;
    int rc;

    if (fd < 0)
        return err_set(err, E_IO, "%s", strerror(errno));
    rc = check_file(fd, err);
    if (rc == 0)
        rc = read_all(fd, data, &bytes, err);
    close(fd);
    if (rc == 0) {
        while (bytes && (data[bytes - 1] == '\n' || data[bytes - 1] == '\r'))
            bytes--;
        rc = check((struct slice){ data, bytes }, err);
    }
    if (rc == 0)
        *key = (struct key){ mem_dup(data, bytes), bytes };
    explicit_bzero(data, sizeof(data));
    return rc;
}

static int
read_variable(const char *name, struct key *key, struct err *err)
{
    const char *value = getenv(name);
    int rc;

    if (!value)
        return 0;
    rc = check(slice_of(value), err);
    if (rc == 0)
        *key = (struct key){ mem_dup(value, strlen(value)), strlen(value) };
    return rc;
}

static int
read_key(const struct conf_upstream *upstream, struct key *key, struct err *err)
{
    if (upstream->key_file && read_file(upstream->key_file, key, err) < 0)
        return err_wrap(err, "key_file %s", upstream->key_file);
    if (upstream->key_env && read_variable(upstream->key_env, key, err) < 0)
        return err_wrap(err, "key_env %s", upstream->key_env);
    return 0;
}

/* Others who look at our environment shall not find the key there either. */
static void
take_out(const char *name)
{
    char *value = getenv(name);

    if (value)
        explicit_bzero(value, strlen(value));
    unsetenv(name);
}

struct keys *
keys_new(const struct conf *conf, struct err *err)
{
    struct keys *keys = mem_zalloc(1, sizeof(*keys));
    int rc = 0;

    assert(conf->upstream_count <= CONF_UPSTREAMS_MAX);
    keys->conf = conf;
    for (size_t i = 0; i < conf->upstream_count && rc == 0; i++) {
        rc = read_key(&conf->upstreams[i], &keys->items[i], err);
        if (rc < 0)
            err_wrap(err, "upstream %s", conf->upstreams[i].name);
    }
    /* Only now: two upstreams may name the same variable. */
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (conf->upstreams[i].key_env)
            take_out(conf->upstreams[i].key_env);
    }
    if (rc < 0) {
        keys_free(keys);
        return NULL;
    }
    return keys;
}

void
keys_free(struct keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < CONF_UPSTREAMS_MAX; i++) {
        struct key *key = &keys->items[i];

        if (key->data)
            explicit_bzero(key->data, key->bytes);
        free(key->data);
    }
    free(keys);
}

enum key_found
keys_find(const struct keys *keys, const char *name, const char *base_url,
          struct slice *key)
{
    const struct conf *conf = keys->conf;

    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (strcmp(conf->upstreams[i].name, name) != 0)
            continue;
        if (keys->items[i].bytes == 0)
            return KEY_NONE;
        if (strcmp(conf->upstreams[i].base_url, base_url) != 0)
            return KEY_MISMATCH;
        *key = (struct slice){ keys->items[i].data, keys->items[i].bytes };
        return KEY_FOUND;
    }
    return KEY_NONE;
}

static void
replace(struct buf *text, const struct key *key)
{
    struct buf out = { 0 };
    const char *at = text->data, *end = text->data + text->bytes, *hit;

    while (at < end &&
           (hit = memmem(at, (size_t)(end - at), key->data, key->bytes))) {
        buf_add(&out, at, (size_t)(hit - at));
        buf_add_str(&out, REDACT_MARK);
        at = hit + key->bytes;
    }
    buf_add(&out, at, (size_t)(end - at));
    buf_fini(text);
    *text = out;
}

void
keys_redact(const struct keys *keys, struct slice text, struct buf *out)
{
    struct buf known = { 0 };

    buf_add_slice(&known, text);
    for (size_t i = 0; i < CONF_UPSTREAMS_MAX; i++) {
        if (keys->items[i].bytes > 0)
            replace(&known, &keys->items[i]);
    }
    redact(buf_slice(&known), out);
    buf_fini(&known);
}
