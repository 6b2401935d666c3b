/*
 * upstream.h - what is to be remembered of an upstream
 *
 * Whether it is suspended, until when and why; how its breaker stands; whether
 * it ever answered. Few rows, written when something changes, so that a restart
 * forgets no server's wait and asks nobody who said to stop. What the numbers of
 * the breaker mean is the broker's matter.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_UPSTREAM_H
#define STORE_UPSTREAM_H

#include <stdint.h>

#include "base/buf.h"
#include "store/record.h"
#include "store/request.h"

#define UPSTREAM_CODE_BYTES    65 /* with its NUL, as below */
#define UPSTREAM_MESSAGE_BYTES 513
#define UPSTREAM_SOURCE_BYTES  65
#define UPSTREAM_REQUESTS      3
#define UPSTREAM_BREAKERS      3         /* states of a breaker */
#define UPSTREAM_STOPPED       INT64_MAX /* suspended until it is resumed */

struct upstream_row {
    char name[REQUEST_UPSTREAM_BYTES];
    int64_t until_ms; /* suspended until then; 0: it is not */
    int64_t since_ms; /* of what follows, which is empty if it is not */
    uint32_t http_status;
    char code[UPSTREAM_CODE_BYTES];
    char message[UPSTREAM_MESSAGE_BYTES]; /* without secrets */
    char source[UPSTREAM_SOURCE_BYTES];   /* where the time was read */
    unsigned breaker;                     /* its state */
    int64_t breaker_until_ms;
    int64_t breaker_pause_ms;
    uint32_t failures; /* in a row */
    uint32_t request_count;
    uint64_t requests[UPSTREAM_REQUESTS]; /* that they were of */
    int64_t answered_ms; /* when it first gave an answer; 0: never */
};

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void upstream_encode(const struct upstream_row *row, struct buf *out);
int upstream_decode(struct record *record, struct upstream_row *row);

/* ---- in a store's transaction ---- */

struct store;

/* What is remembered of an upstream, by its name. */
int store_upstream_get(struct store *store, const char *name,
                       struct upstream_row *row);
void store_upstream_put(struct store *store, const struct upstream_row *row);

#endif
