/*
 * broker_event.h - events on the bench, and the hands that post them
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_EVENT_H
#define TESTS_BROKER_EVENT_H

#include "tests/broker_hand.h"

#define EVENT_DRAFT "{'id':'a','text':'a'}\n"

/* Starts a bench with a webhook `all` for all, and `some` for what clients `c`
 * and `d` lose; its hand, of one slot, which beats. */
struct hand *event_bench(struct bench *bench);

/* Starts a bench with one webhook for all, which keeps ten deliveries, and no
 * hand. */
void event_bench_one(struct bench *bench);

/* A batch of one draft is submitted, and finishes; its uuid. */
void event_finish(struct bench *bench, const char *key,
                  char uuid[BENCH_UUID_BYTES]);

/* The nth delivery as `webhooks` lists them, the newest first; for the caller to
 * delete. */
cJSON *event_listed(struct bench *bench, int nth);

/* Fails the test if the nth delivery is another one; no status: 0. */
void event_expect(struct bench *bench, int nth, const char *state,
                  int64_t attempts, int64_t status);

/* Lets time pass until the newest delivery is to be tried, and not a moment less;
 * the milliseconds. */
int64_t event_wait(struct hand *hand, int64_t most_ms);

#endif
