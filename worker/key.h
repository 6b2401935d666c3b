/*
 * key.h - the upstreams' credentials
 *
 * Each upstream has one or none: an API key, or the secret with which access
 * tokens are got (see tokens.h). They are read at the start from where the
 * worker's own configuration says, again when the worker is told to, and wiped
 * at the end. A key goes nowhere but to the base URL of that configuration: a
 * broker that names another one for the same upstream gets calls without a key.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_KEY_H
#define WORKER_KEY_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

enum key_found {
    KEY_FOUND,
    KEY_NONE,     /* none is configured for this upstream */
    KEY_MISMATCH, /* there is one, for another base URL */
};

struct keys;

/* Reads the keys of all upstreams and takes those of the environment out of it.
 * conf is borrowed as long as the keys live. One is lacking if its file is open
 * to others, is no file, or cannot be read (E_INVALID, E_IO); if it has control
 * characters in it, or is empty. An upstream lacks its ca_file if that cannot be
 * read. All that is logged, and NULL if no upstream is left then. An environment
 * variable that is not set means no key, which is logged, too. */
struct keys *keys_new(const struct conf *conf, struct err *err);

/* Wipes the keys and frees them; NULL is fine. */
void keys_free(struct keys *keys);

/* Why the upstream of this name at this base URL is not to be asked: its key is
 * lacking, or its ca_file, which *code says. Borrowed until the next reading; NULL
 * if it may be. */
const char *keys_lack(const struct keys *keys, const char *name,
                      const char *base_url, const char **code);

/* Looks again for what that upstream lacks, unless it was in the environment. */
void keys_retry(struct keys *keys, const char *name, const char *base_url);

/* Reads anew the keys that come from files, and logs what became of each: one
 * that cannot be read stays as it was. Looks for the ca_files, too. Slices of keys
 * that were borrowed before are of no use any more. */
void keys_reload(struct keys *keys);

/* The key for the upstream of this name at this base URL, borrowed, if
 * KEY_FOUND. */
enum key_found keys_find(const struct keys *keys, const char *name,
                         const char *base_url, struct slice *key);

/* The client's secret of the nth upstream, which gets tokens: borrowed; empty
 * if it was not in the environment. */
struct slice keys_client_secret(const struct keys *keys, size_t nth);

/* Replaces every key wherever it stands in a text (see secret_hide()). */
void keys_hide(const struct keys *keys, struct buf *text);

/* The same for bytes that keep their places (see secret_mask()). */
void keys_mask(const struct keys *keys, struct buf *text);

#endif
