/*
 * store_play.h - a store in a test's hands: what the broker does, in one call
 *
 * Each call is one transaction. A draft is an id and a word; drafts with the
 * same word make the same request. Time stands still but for play->now_ms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_STORE_PLAY_H
#define TESTS_STORE_PLAY_H

#include "store/engine.h"
#include "store/store.h"
#include "store/verify.h"
#include "tests/scratch.h"

#define PLAY_MAP_BYTES  (256u << 20)
#define PLAY_MEMORY_MAX 64
#define PLAY_COST       7 /* nano-dollars of each call */

enum play_kind { PLAY_LMDB, PLAY_MEMORY };

struct play {
    enum play_kind kind;
    struct store *store;
    struct scratch scratch;
    int64_t now_ms;
    int64_t cached_after_ms; /* of the intake */
    /* A memory tier that is told what to say: keys and requests. */
    unsigned char keys[PLAY_MEMORY_MAX][DIGEST_BYTES];
    uint64_t requests[PLAY_MEMORY_MAX];
    size_t memory_count;
    uint32_t told_off;  /* requests of which the worker was told: forget it */
    int64_t spent_nano; /* what all calls have cost */
};

struct play_draft {
    const char *id, *word;
    enum disposition disposition; /* out */
};

/* Opens a store in memory, or in a directory of its own; ends it. */
void play_start(struct play *play, enum play_kind kind);
void play_end(struct play *play);

/* Closes and opens an LMDB store again. */
void play_reopen(struct play *play);

/* A transaction by hand. */
void play_begin(struct play *play);
void play_commit(struct play *play);

/* Opens a batch; ends its being open. */
uint64_t play_open(struct play *play, const char *key);
void play_seal(struct play *play, uint64_t batch);
void play_abort(struct play *play, uint64_t batch, bool is_whole);

/* What ends an open batch that is never sealed; sets it, within a transaction by
 * hand. */
struct timer play_abandon_timer(const struct batch *batch);
void play_abandon_at(struct play *play, const struct batch *batch);

/* How drafts are taken in. */
struct intake play_intake(struct play *play);

/* Adds a chunk of drafts. Those with a NULL id are refused. Returns its n. */
uint32_t play_add(struct play *play, uint64_t batch, struct play_draft *drafts,
                  size_t count);

/* Moves a batch's lines to where a store of format 3 to 5 has them, and its
 * drafts, or these alone, to where one of up to 7 has them. */
void play_make_older(struct play *play, uint64_t batch);
void play_part_drafts(struct play *play, uint64_t batch);

/* Opens, fills and seals a batch of one chunk with ids "0", "1", …; the words
 * are separated by blanks. */
uint64_t play_batch(struct play *play, const char *key, const char *words);

/* Claims up to max requests of a batch, in the order of places; their ids. */
size_t play_claim(struct play *play, uint64_t batch, uint64_t *requests,
                  size_t max);

/* Ends a request; `text` is its reply. */
void play_finish(struct play *play, uint64_t request, enum status status,
                 const char *text);

/* Moves what a request came to to where a store of format 3, or of 4 to 6, has
 * it. */
void play_answer_older(struct play *play, uint64_t request, int format);

/* Puts a request back, or delays it. */
void play_release(struct play *play, uint64_t request);
void play_delay(struct play *play, uint64_t request, int64_t due_ms);

/* Begins the sweep; play_due() goes on. */
void play_cancel(struct play *play, uint64_t batch);
void play_purge(struct play *play, uint64_t batch);
void play_expire(struct play *play, uint64_t batch);
void play_retry(struct play *play, uint64_t batch, uint32_t mask);

/* Does what is due, up to `max` timers, one transaction each. How many. */
size_t play_due(struct play *play, size_t max);

/* Records as they are now; the test fails if they are not there. */
struct batch play_get_batch(struct play *play, uint64_t batch);
struct draft play_get_draft(struct play *play, uint64_t batch, uint32_t index);
struct request play_get_request(struct play *play, uint64_t request);

/* The request that a word leads to now; 0 for none. */
uint64_t play_find(struct play *play, const char *word);

/* The request key of a word. */
void play_key(const char *word, unsigned char key[DIGEST_BYTES]);

/* How many rows a table has. */
uint64_t play_rows(struct play *play, enum table table);

/* What store_verify() says; the report, which may be NULL, has what it finds. */
struct verify play_verify(struct play *play, struct buf *report);

/* Fails the test if store_verify() finds anything. */
void play_check(struct play *play);

/* The digest of all rows. */
void play_digest(struct play *play, unsigned char digest[DIGEST_BYTES]);

#endif
