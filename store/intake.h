/*
 * intake.h - the drafts of a chunk, and the requests that they make or join
 *
 * A draft whose request key is known already makes no request: it waits for the one
 * that is there, or is answered by it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_INTAKE_H
#define STORE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "store/batch.h"
#include "store/chunk.h"
#include "store/draft.h"
#include "store/request.h"

struct store;

enum disposition {
    DRAFT_NEW,          /* made a request of its own */
    DRAFT_JOINED,       /* joined one that waits or is in flight */
    DRAFT_CACHED,       /* was answered by one that is done */
    DRAFT_DUPLICATE_ID, /* was not added: the batch has that id */
};

/* A draft of a chunk that is to be added. */
struct new_draft {
    struct draft draft; /* index, place of line, id, metadata; the rest is
                           filled in */
    struct slice id;    /* decoded */
    unsigned char key[DIGEST_BYTES];
    enum request_kind kind;
    const char *route;            /* borrowed */
    uint32_t model;               /* stands for the one it names */
    uint64_t tag;                 /* the caller's own, for `place` */
    struct place place;           /* filled in by `place` when it is new */
    size_t chars;                 /* the caller's own too */
    uint32_t tokens;              /* that its request may take */
    enum disposition disposition; /* out */
};

/* How store_drafts_add() asks back. */
struct intake {
    int64_t now_ms;
    int64_t cached_after_ms; /* answers not older than this are served */
    void *context;
    /* Looks in the memory tier: the request that answered key, or 0. One that
     * is not there any more, or is no answer, is not used. */
    uint64_t (*recall)(void *context, const unsigned char *key);
    /* Chooses the place of a draft that makes a new request. */
    void (*place)(void *context, struct new_draft *draft);
};

/* Adds drafts to a batch, deduplicating each against all requests, and those
 * before it in the array. Counts are added to *batch and *chunk, and names to the
 * tail of *batch, which the caller writes. E_CORRUPT: a draft that may have the
 * same id is damaged, or what leads to it. */
int store_drafts_add(struct store *store, struct batch *batch,
                     struct chunk *chunk, struct new_draft *drafts,
                     size_t count, const struct intake *intake);

/* What a request key would meet now, for a dry run. */
enum disposition store_key_peek(struct store *store,
                                const unsigned char key[DIGEST_BYTES],
                                int64_t cached_after_ms);

/* Lets the draft from which a leased request is rendered, and which has another key
 * now, go to the request of that key, as if it came only now: fresh says what it
 * is, with the draft's record, and is filled in as by store_drafts_add(). A draft
 * that does not wait goes nowhere. 1: the request stays leased, to be rendered from
 * another draft, as *request says; 0: it has ended, as nobody waits; E_NOTFOUND: no
 * draft is found that does, and nothing was done. */
int store_draft_move(struct store *store, struct request *request,
                     struct new_draft *fresh, const struct intake *intake)
    __attribute__((warn_unused_result));

/* The same for one that leads nowhere now: *own is a ready request of its own, of
 * the old key, which does not lead to it; its id is 0 if the draft does not
 * wait. */
int store_draft_part(struct store *store, struct request *request,
                     const struct draft *draft, struct request *own)
    __attribute__((warn_unused_result));

/* A new group's number. */
uint64_t store_group_next(struct store *store);

#endif
