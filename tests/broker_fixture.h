/*
 * broker_fixture.h - the broker's core on a bench, without sockets or clocks
 *
 * A bench holds a broker over a store in memory, and a time that only the test
 * moves. Clients are questions and their answers; workers are hands
 * (broker_hand.h). Messages wait for a turn, which is one transaction as
 * sheafd's loop does it; what it sends is handed out when it has committed.
 *
 * Texts of questions are JSON with ' for ", so that they can be read.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BROKER_FIXTURE_H
#define TESTS_BROKER_FIXTURE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "queue/broker.h"
#include "queue/gather.h"

#define BENCH_START_MS   INT64_C(1800000000000)
#define BENCH_STORE_MAX  (UINT64_C(1) << 32)
#define BENCH_UUID_BYTES 37
#define BENCH_HANDS_MAX  16
#define BENCH_HOST       "bench"
#define BENCH_OWN        "the-bench's-own"

struct hand;

/* A message on its way to the broker. */
struct mail {
    enum side side;
    struct link_peer peer;
    struct buf head, body;
    struct gathering gathered; /* where the bench reads ahead */
    bool is_gathered;
};

/* What a client was told. */
struct answer {
    int64_t re;
    cJSON *head;
    struct buf body;
};

struct bench {
    struct conf conf;
    struct store *store;
    struct text_rules *rules;
    struct outbox outbox;
    struct broker *broker;
    int64_t now_ms;
    uint64_t seed;
    struct mail *mails; /* for the next turn */
    size_t mail_count, mail_capacity;
    struct answer *answers;
    size_t answer_count, answer_capacity;
    int64_t re; /* of the newest question */
    struct hand *hands[BENCH_HANDS_MAX];
    size_t hand_count;
    int peer_count;
    bool reads_ahead; /* chunks, when they are posted, as a reader does */
    struct recipes *recipes; /* the reader's */
    struct line line;
    struct packer *packer;
    size_t gathered_count;
    bool is_slow;        /* hands read only when they are told to */
    int fails;           /* so many of the next commits do */
    int commit_rc;       /* of the newest turn */
    int64_t patience_ms; /* the broker's, before its commit */
    uint64_t turn_count;
    char **calls; /* bodies, in the order in which they reached upstreams */
    size_t call_count, call_capacity;
    size_t in_flight, in_flight_most;
    int64_t *fences; /* by request: the newest one that was sent */
    size_t fence_count;
};

/* A bench with two upstreams, `one` and `two`, of model `m`, and a store of at
 * most store_bytes. The test may change bench->conf before bench_start(). */
void bench_init(struct bench *bench, uint64_t store_bytes);
void bench_start(struct bench *bench);
void bench_fini(struct bench *bench);

/* Adds a webhook, before bench_start(). events, clients: NULL for all. */
void bench_webhook(struct bench *bench, const char *name, const char *events,
                   const char *clients);

/* The broker's process ends and another one starts over the store. What was not
 * committed is lost, as is what was on its way. */
void bench_restart(struct bench *bench);

/* Puts a message before the broker, for the next turn. */
void bench_post(struct bench *bench, enum side side,
                const struct link_peer *peer, struct slice head,
                struct slice body);

/* One transaction: what was posted, what is due. */
void bench_turn(struct bench *bench);

/* Turns until nothing is on its way and nothing is due. */
void bench_run(struct bench *bench);

/* Lets time pass; what falls due in it happens in time, and hands beat. */
void bench_advance(struct bench *bench, int64_t ms);

/* ---- clients ---- */

/* Posts a question: its members without braces and `re`; body may be NULL.
 * Returns its `re`. */
int64_t bench_ask_later(struct bench *bench, const char *body, const char *fmt,
                        ...) __attribute__((format(printf, 3, 4)));

/* The answer to a question, or NULL if there is none yet. */
const struct answer *bench_answer(const struct bench *bench, int64_t re);

/* Asks, runs, and returns the answer's header; NULL if there is none. */
const cJSON *bench_ask(struct bench *bench, const char *body, const char *fmt,
                       ...) __attribute__((format(printf, 3, 4)));

/* The body of the newest question's answer. */
struct slice bench_body(const struct bench *bench);

/* Opens a batch of client `c`; uuid is filled in. `more` is further members,
 * such as "'early':true", or "". options may be NULL. */
void bench_open(struct bench *bench, const char *key, const char *options,
                const char *more, char uuid[BENCH_UUID_BYTES]);

/* Sends a chunk (lines with ' for ") and returns the answer. */
const cJSON *bench_chunk(struct bench *bench, const char *uuid, int n,
                         const char *lines);

/* The same, posted for the next turn. */
int64_t bench_chunk_later(struct bench *bench, const char *uuid, int n,
                          const char *lines);

/* Seals; both numbers must be right. */
const cJSON *bench_seal(struct bench *bench, const char *uuid, int chunks,
                        int drafts);

/* Opens, sends one chunk and seals. */
void bench_submit(struct bench *bench, const char *key, const char *options,
                  const char *lines, char uuid[BENCH_UUID_BYTES]);

/* ---- looking ---- */

/* A number or a text at a path of names and numbers separated by dots. Fails
 * the test if it is not there. */
int64_t at_int(const cJSON *head, const char *path);
const char *at_str(const cJSON *head, const char *path);

/* Fails the test if an answer is not an error of this code. */
void expect_error(const cJSON *head, const char *code);

/* A number of a batch's status, such as "counts.ok"; its state; a number of the
 * statistics. */
int64_t bench_status(struct bench *bench, const char *uuid, const char *path);
const char *bench_state(struct bench *bench, const char *uuid);
int64_t bench_stat(struct bench *bench, const char *name);

/* The result lines of a batch after a cursor, as an array for the caller to
 * delete with cJSON_Delete(). */
cJSON *bench_results(struct bench *bench, const char *uuid, int64_t after);

/* The result of one draft, from such an array. NULL: it has none. */
const cJSON *result_of(const cJSON *results, const char *id);

/* A member of the result of one draft: a text, "(none)" without a result, which
 * holds until the next call; a number. */
const char *result_str(struct bench *bench, const char *uuid, const char *id,
                       const char *member);
int64_t result_int(struct bench *bench, const char *uuid, const char *id,
                   const char *member);

/* What each call was about: the last letter of its user message. Holds until
 * the next call. */
const char *bench_call_order(const struct bench *bench);

#endif
