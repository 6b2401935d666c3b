/*
 * file.h - a client's file: bytes under a name, in pieces
 *
 *              all there              deleted, expired, left open
 *   open ─────────────────► stored ───────────────────────────────► deleted
 *     │                                                               ▲ │
 *     └───────────────────────────────────────────────────────────────┘ ▼
 *                                                                     (gone)
 *
 * Uploaded to make a batch from, or written by a batch that has ended. The bytes
 * lie in pieces of FILE_PIECE_BYTES each, the last one may be shorter: a place in
 * the file tells its piece. Its digest is chained over the pieces, so that it goes
 * on where a process ended, whatever parts the bytes came in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "store/record.h"

#define FILE_UUID_BYTES 16

/* With the chain's link, its seal and what LMDB adds it fills eight pages. */
#define FILE_PIECE_BYTES 32000

#define FILE_CLIENT_BYTES 65 /* with its NUL, as below */
#define FILE_KEY_BYTES    129
#define FILE_NAME_BYTES   256

/* clang-format off */
#define FILE_TO(state) (1u << FILE_##state)
/*    name     text       the states it may move to. The order is the format. */
#define FILE_STATES(X)                                                        \
    X(OPEN,    "open",    FILE_TO(STORED) | FILE_TO(DELETED))                 \
    X(STORED,  "stored",  FILE_TO(DELETED))                                   \
    X(DELETED, "deleted", 0)
/* clang-format on */

#define FILE_ENUM(name, text, to) FILE_##name,
enum file_state { FILE_STATES(FILE_ENUM) FILE_STATE_COUNT };
#undef FILE_ENUM

/* What it is for. The order is the format. */
enum file_purpose { FILE_BATCH, FILE_BATCH_OUTPUT };
#define FILE_PURPOSE_COUNT (FILE_BATCH_OUTPUT + 1)

struct file {
    uint64_t id;
    unsigned char uuid[FILE_UUID_BYTES];
    enum file_state state;
    enum file_purpose purpose;
    int64_t created_ms;
    int64_t stored_ms; /* 0: not yet */
    int64_t ttl_ms; /* from created, or stored if a batch makes it; 0: none */
    int64_t end_ms; /* when it goes by itself; 0: it does not */
    uint64_t bytes; /* that it will have; what it has, if a batch makes it */
    uint64_t received;
    unsigned char chain[DIGEST_BYTES]; /* over all whole pieces; at last, all */
    unsigned char batch[FILE_UUID_BYTES]; /* that makes it; 0: an upload */
    char client[FILE_CLIENT_BYTES];
    char key[FILE_KEY_BYTES]; /* empty: none */
    char name[FILE_NAME_BYTES];
};

/* The name of a state, of a purpose, as in PROTOCOL.md; the purpose of a name,
 * or -1. */
const char *file_state_name(enum file_state state);
const char *file_purpose_name(enum file_purpose purpose);
int file_purpose_parse(const char *name);

/* Changes the state. A move that the table does not have is a bug. */
void file_move(struct file *file, enum file_state to);

/* Pieces that it has, and the bytes of one of them. */
uint32_t file_piece_count(const struct file *file);
size_t file_piece_bytes(const struct file *file, uint32_t piece);

/* Lengthens a chain by a piece. */
void file_chain(unsigned char chain[DIGEST_BYTES], struct slice piece);

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void file_encode(const struct file *file, struct buf *out);
int file_decode(struct record *record, struct file *file);

/* ---- in a store's transaction; see store.h about errors (files.c) ---- */

struct store;

/* Adds an open file, giving it its id. */
void store_file_add(struct store *store, struct file *file);

/* Find a file; the second by its UUID, the third by the digest of its client and
 * key (store_client_key()). */
int store_file_get(struct store *store, uint64_t id, struct file *file);
int store_file_find(struct store *store,
                    const unsigned char uuid[FILE_UUID_BYTES],
                    struct file *file);
int store_file_find_key(struct store *store,
                        const unsigned char digest[DIGEST_BYTES],
                        struct file *file);

/* The first file after an id, of whoever. */
int store_file_after(struct store *store, uint64_t id, struct file *file);

/* The next file of a client before or after an id. E_CORRUPT also sets its
 * id. */
int store_file_owned(struct store *store, const char *client, uint64_t id,
                     bool is_before, struct file *file);

/* How many files a client has, and the bytes they have or will have; those that
 * are being removed not counted. */
void store_file_usage(struct store *store, const char *client, uint64_t *count,
                      uint64_t *bytes);

/* Adds bytes behind those that were received. Writes the file. */
void store_file_append(struct store *store, struct file *file,
                       struct slice bytes);

/* The bytes from a place on, to the end of the piece: borrowed until the store's
 * next change. E_NOTFOUND: the file ends there. */
int store_file_read(struct store *store, const struct file *file, uint64_t at,
                    struct slice *bytes);

/* The chain over all that was received. */
int store_file_digest(struct store *store, const struct file *file,
                      unsigned char digest[DIGEST_BYTES]);

/* Closes a file that has all its bytes: stored, under its digest, from now on; it
 * ends by a timer. */
void store_file_close(struct store *store, struct file *file,
                      const unsigned char digest[DIGEST_BYTES], int64_t now_ms);

/* A file ends at another time. */
void store_file_end_at(struct store *store, struct file *file, int64_t end_ms);

/* Deletes a file: one write now, its pieces in slices by a timer. */
void store_file_delete(struct store *store, struct file *file, int64_t now_ms);

/* Removes a slice of a deleted file. True: there is more. */
bool store_file_drop(struct store *store, const struct file *file);

#endif
