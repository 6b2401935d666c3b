/*
 * key.h - the upstreams' credentials
 *
 * A key is read once, at the start, from the file or the environment variable
 * that the worker's own configuration names, and is wiped at the end. It goes
 * nowhere but to the base URL of that configuration: a broker that names
 * another one for the same upstream gets calls without a key.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_KEY_H
#define WORKER_KEY_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

#define KEY_BYTES_MAX 4096

enum key_found {
    KEY_FOUND,
    KEY_NONE,     /* none is configured for this upstream */
    KEY_MISMATCH, /* there is one, for another base URL */
};

struct keys;

/* Reads the keys of all upstreams and takes those of the environment out of it.
 * conf is borrowed as long as the keys live. NULL on failure: a file that others
 * can read, that is no file, or cannot be read (E_INVALID, E_IO); a key with
 * control characters in it, or none. An environment variable that is not set
 * means no key. */
struct keys *keys_new(const struct conf *conf, struct err *err);

/* Wipes the keys and frees them; NULL is fine. */
void keys_free(struct keys *keys);

/* The key for the upstream of this name at this base URL, borrowed, if
 * KEY_FOUND. */
enum key_found keys_find(const struct keys *keys, const char *name,
                         const char *base_url, struct slice *key);

/* Adds the text to out with every key, and what looks like one, replaced. */
void keys_redact(const struct keys *keys, struct slice text, struct buf *out);

#endif
