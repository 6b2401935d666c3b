/*
 * http_guard.h - who has guessed too often
 *
 * Counts the tokens that were refused, by the address that they came from. An
 * address that has used up its failures is not listened to until it has some
 * again; they come back one by one. An IPv6 address counts as its network of 64
 * bits, of which a guesser has as many addresses as he likes.
 *
 * The table is bounded: for a new address the one that failed longest ago is
 * forgotten. Time: milliseconds of the monotonic clock, passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_GUARD_H
#define SUBMIT_HTTP_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_GUARD_ADDRESSES_MAX 4096
#define HTTP_GUARD_FAILURES_MAX  10
#define HTTP_GUARD_FAILURE_MS    6000 /* one comes back in this time */
#define HTTP_ADDRESS_BYTES       16

/* An address, or the network that stands for it; IPv4 as mapped to IPv6. */
struct http_address {
    unsigned char bytes[HTTP_ADDRESS_BYTES];
};

struct http_guard;

struct http_guard *http_guard_new(void);
void http_guard_free(struct http_guard *guard);

/* Milliseconds until the address is listened to again; 0: now. */
int64_t http_guard_wait_ms(const struct http_guard *guard,
                           const struct http_address *address, int64_t now_ms);

/* Counts a failure. */
void http_guard_failed(struct http_guard *guard,
                       const struct http_address *address, int64_t now_ms);

#endif
