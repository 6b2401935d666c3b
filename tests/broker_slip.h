/*
 * broker_slip.h - a lease in a hand (broker_hand.h), and its call
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_SLIP_H
#define TESTS_BROKER_SLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/broker_fixture.h"

struct hand;
struct wire;

enum slip_state { SLIP_WAITING, SLIP_RUNNING, SLIP_REPORTED };

struct slip {
    int64_t request, fence;
    int64_t length_ms; /* it ends so long after what is trusted */
    enum slip_state state;
    bool is_raw;
    char *upstream, *path, *body;
    char *model;                         /* NULL: as the body says */
    struct buf report_head, report_body; /* once it is reported */
};

/* Starts calls while it has slots and slips. Returns how many. */
size_t hand_start(struct hand *hand);

/* How many slips are in a state. */
size_t hand_count(const struct hand *hand, enum slip_state state);

/* The nth slip in a state, or NULL. */
struct slip *hand_slip(const struct hand *hand, enum slip_state state,
                       size_t nth);

/* The running slip whose body holds a text. */
struct slip *hand_find(const struct hand *hand, const char *text);

/* A running call has ended. Its slip stays until it is confirmed. */
void hand_answer(struct hand *hand, struct slip *slip, const char *text);
void hand_end(struct hand *hand, struct slip *slip, const char *class_name,
              int http_status, int64_t wait_ms);

/* Ends a slip without a word. */
void hand_forget(struct hand *hand, struct slip *slip);

/* ---- all hands ---- */

/* Submits so many drafts, and lets their groups go. */
void bench_submit_many(struct bench *bench, const char *key, int count,
                       char uuid[BENCH_UUID_BYTES]);

/* All of them start the calls that they may. */
void bench_start_calls(struct bench *bench);

/* All hands start and answer until nothing more can be done now. Every answer
 * is "answer". */
void bench_work(struct bench *bench);

/* ---- for broker_hand.c ---- */

/* Takes a lease that the hand is told; finds the slip of one, or NULL; true if it
 * has ended by the hand's own clock. */
void slip_take(struct hand *hand, const struct wire *wire);
struct slip *slip_find(const struct hand *hand, int64_t request, int64_t fence);
bool slip_is_over(const struct slip *slip, const struct hand *hand);
void slip_fini(struct slip *slip);

#endif
