/*
 * broker_hand.h - a worker that does what a test says
 *
 * A hand keeps what it was leased as slips, starts calls within its slots, and
 * reports. It answers the broker as sheaf-worker does: tells which slots it
 * keeps, beats, says hello again when it is asked to, repeats what was not
 * confirmed, forgets what was cancelled.
 *
 * The bench counts its calls: more than slots_max in flight fail the test.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_HAND_H
#define TESTS_BROKER_HAND_H

#include "queue/retry.h"
#include "tests/broker_fixture.h"
#include "tests/broker_slip.h"

/* An event that it is to post. */
struct parcel {
    int64_t delivery, attempt;
    char *webhook, *url, *id, *body;
};

struct wire;

struct letter_in {
    struct buf head, body;
};

struct hand {
    struct bench *bench;
    int number;
    struct link_peer peer;
    char uuid[BENCH_UUID_BYTES];
    uint32_t capacity;
    int hellos; /* that it has said */
    bool is_alive;
    bool is_connected; /* messages go both ways */
    bool is_welcome;
    bool is_draining;
    bool is_frozen; /* its process was stopped: what it is told waits */
    int64_t slots, slots_told;
    bool must_tell;
    int64_t beat_ms;       /* when the next one is due */
    int64_t beat_number;   /* of the newest one */
    bool beats;            /* by itself, as time goes on */
    const char *wait_from; /* what it says of waits; NULL: nothing */
    const char *code;      /* of what is no answer; NULL: `its_code` */
    int64_t sent_ms;    /* of the beat or hello that waits for an answer; 0 */
    int64_t trusted_ms; /* of the last one that was answered */
    struct slip *slips;
    size_t slip_count, slip_capacity;
    struct letter_in *letters; /* not read yet */
    size_t letter_count, letter_capacity;
    size_t cancel_count; /* leases taken away by `cancel` or `drop` */
    uint64_t confirm_count;
    size_t reload_count;
    bool has_no_secrets;    /* of webhooks: it says so with its hello */
    struct parcel *parcels; /* not reported yet */
    size_t parcel_count, parcel_capacity;
    size_t noted_count;
};

/* A new hand, which has said hello. It is the bench's. */
struct hand *hand_new(struct bench *bench, uint32_t capacity);
void hand_free(struct hand *hand);

/* Connects, anew if it was connected, and says hello. */
void hand_hello(struct hand *hand);

/* The link breaks: nothing arrives, calls go on. */
void hand_disconnect(struct hand *hand);

/* The process ends at once. */
void hand_die(struct hand *hand);

/* The same, and the broker comes to know of it. */
void hand_kill(struct hand *hand);

/* Posts a message; ' for ". */
void hand_say(struct hand *hand, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says goodbye. */
void hand_bye(struct hand *hand);

/* Takes a letter of the broker's; reads those that it has, or the first one. */
void hand_take(struct hand *hand, struct slice head, struct slice body);
void hand_read(struct hand *hand);
void hand_read_one(struct hand *hand);

/* What time brings: calls whose lease has ended are aborted, beats are sent. */
void hand_tick(struct hand *hand);

/* Beats now. */
void hand_beat(struct hand *hand);

/* Reports an event that it was to post: "ok", "failed" or "unmade". */
void hand_posted(struct hand *hand, size_t nth, const char *class_name,
                 int http_status, int64_t wait_ms);

/* ---- for broker_slip.c ---- */

/* Sends a message, if it can; tells how many slots it keeps, if that is news. */
void hand_send(struct hand *hand, struct slice head, struct slice body);
void hand_tell_slots(struct hand *hand);

/* What it is told: a number, which must be there; a text, for the caller to
 * free. */
int64_t hand_int(const struct wire *wire, const char *name);
char *hand_text(const struct wire *wire, const char *name);

#endif
