/*
 * answers.h - what clients are told
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ANSWERS_H
#define QUEUE_ANSWERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "queue/histogram.h"
#include "queue/latency.h"
#include "queue/link.h"
#include "queue/upstreams.h"
#include "store/store.h"

struct broker;

/* A client that waits for a batch. */
struct waiter {
    struct link_peer peer;
    int64_t re;
    uint64_t batch;
    int64_t after; /* a seq; -1: waits for the end only */
    int64_t until_ms;
    bool ends_stalled; /* also when the batch can go nowhere */
};

/* ---- answers.c ---- */

/* Adds a batch's members as `status` has them. */
int answer_add_status(struct broker *broker, cJSON *head,
                      const struct batch *batch);

/* Answers waiters whose wait is over. */
void answer_waiters(struct broker *broker, int64_t now_ms);

/* ---- stats.c ---- */

/* The scales of the broker's own histograms. */
extern const struct histogram_scale stats_commit_us, stats_commit_items;

/* ---- upstream_verbs.c ---- */

/* Adds `stalled`, if a batch can go nowhere until somebody resumes an upstream.
 * True if it is so; head may be NULL. */
bool upstream_add_stalled(struct broker *broker, cJSON *head,
                          const struct batch *batch);

/* The word of the protocol for the state of an upstream. */
const char *upstream_state_name(const struct upstream *upstream,
                                int64_t now_ms);

/* Its latencies: of all its lanes together. */
struct latency upstream_latency(const struct upstreams *upstreams,
                                size_t where);

/* ---- result_line.c ---- */

/* Appends a result line as the README has it, with its newline. */
void result_line(struct buf *out, const struct result_row *row,
                 const char *batch_uuid);

#endif
