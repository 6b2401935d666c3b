/*
 * lease.h - who has which request, and until when
 *
 * A lease is a worker's claim on a request, under a fence that only grows. When it
 * ends is the broker's to say.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include <stddef.h>
#include <stdint.h>

#include "store/request.h"

struct store;

struct lease {
    uint64_t request;
    uint32_t fence;
    unsigned char worker[16];
    int64_t granted_ms;
    int64_t deadline_ms;
    const char *upstream; /* of terms: where it is to go; else NULL */
};

/* Leases up to `max` ready requests of a batch at one place: their fences grow,
 * they leave the ready index. Returns how many, with the requests. */
size_t store_claim(struct store *store, uint64_t batch, struct place place,
                   const struct lease *terms, struct request *requests,
                   size_t max);

/* Puts a leased or delayed request back to ready. One that nobody wants any
 * more is cancelled instead: request->state tells. */
void store_release(struct store *store, struct request *request);

/* Delays a leased request until due_ms; or cancels it, as store_release(). */
void store_delay(struct store *store, struct request *request, int64_t due_ms);

/* A request's lease; the first one after a request's, for the start. */
int store_lease_get(struct store *store, uint64_t request, struct lease *lease);
int store_lease_after(struct store *store, uint64_t request,
                      struct lease *lease);

#endif
