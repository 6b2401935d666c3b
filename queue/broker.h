/*
 * broker.h - the core of sheafd: messages in, decisions, messages out
 *
 * A pure machine around a store. The shell (shell.c) begins a transaction,
 * applies what has arrived, lets what is due happen, commits, and only then
 * sends what is in the outbox. The core opens no socket, reads no clock, starts
 * no thread, and draws its chance from a seed.
 *
 *   store_begin
 *     broker_may_gather …   chunks that are to be read before their turn
 *     broker_apply …     one message each, more while broker_patience_ms
 *     broker_turn        what is due, and what can be leased
 *   store_commit
 *     ok:     broker_settle, then send the outbox
 *     failed: broker_recover, then throw the outbox away
 *
 * What the core keeps in memory (sessions, open groups, the schedule, the
 * cache's first tier, who waits) is derived from the store or can be lost.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_BROKER_H
#define QUEUE_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/text.h"
#include "queue/alerts.h"
#include "queue/outbox.h"
#include "store/store.h"

struct broker;
struct gathering; /* gather.h */

/* What a broker stands on. All borrowed for its life. */
struct broker_env {
    const struct conf *conf;
    struct store *store;
    struct text_rules *rules;
    struct outbox *outbox;
    const char *version; /* of the program */
    const char *host;    /* the boot id of this host */
    uint64_t seed;       /* of its chance */
};

/* A broker over a store. broker_recover() comes next. */
struct broker *broker_new(const struct broker_env *env);
void broker_free(struct broker *broker);

/* Makes the state in memory anew from the store: at the start (is_start), and
 * after a transaction that failed. Opens a transaction of its own. At the
 * start, workers that were there are given time to come back. */
int broker_recover(struct broker *broker, int64_t now_ms, bool is_start,
                   struct err *err) __attribute__((warn_unused_result));

/* What the wall clock shows beyond the time that is passed in. Less than
 * BROKER_WALL_MS_MIN is nothing: clocks are not read in one moment. Only a
 * person's times depend on it: those that clients name, and windows. */
#define BROKER_WALL_MS_MIN 1000
void broker_note_wall(struct broker *broker, int64_t ahead_ms);

/* What a peer has sent. All of it is borrowed. */
struct message {
    enum side side;
    const struct link_peer *peer;
    struct slice head, body;
    struct gathering *gathered; /* its lines, read ahead; NULL: they were not */
};

/* Looks at a message before its turn, within a transaction. True if it is a
 * chunk whose lines can be read ahead (gather_ahead()): the batch whose recipe
 * they need, and its options, borrowed until the store changes. What is made of
 * them stays right whatever happens until then. */
bool broker_may_gather(struct broker *broker, const struct message *message,
                       uint64_t *batch, struct slice *options);

/* Applies one message from a peer, within a transaction. Answers go to the
 * outbox. What was gathered ahead is used up; it makes no difference but in
 * time. */
void broker_apply(struct broker *broker, const struct message *message,
                  int64_t now_ms);

/* How long what was applied since the last commit can wait for more of it; 0:
 * not at all. It can while there are results, nobody needs an answer to
 * anything else, calls end often, and the workers have enough to go on with.
 * Until then nothing needs to be looked at but clients. */
int64_t broker_patience_ms(const struct broker *broker);

/* Counts a message that was none, so that `stats` shows it. */
void broker_note_bad(struct broker *broker);

/* Answers a message with an error when its transaction failed: the outbox must
 * be empty. Workers get none; they repeat, or are asked again. */
void broker_refuse(struct broker *broker, const struct message *message,
                   int code, const char *reason);

/* Does what is due, in bounded steps, and leases what can be leased, within a
 * transaction. */
void broker_turn(struct broker *broker, int64_t now_ms);

/* Until then broker_turn() does nothing: what is due found no room, while
 * messages may still be answered. */
void broker_hold(struct broker *broker, int64_t until_ms);

/* Does a step of what removes, when broker_turn() finds no room. */
void broker_relieve(struct broker *broker, int64_t now_ms);

/* After a commit: answers those whose wait is over, and looks for what somebody
 * should know of, once a second at most. Within a transaction of
 * the shell's, which writes nothing. */
void broker_settle(struct broker *broker, int64_t now_ms);

/* Its alerts, and what is new of them; borrowed for the broker's life. */
const struct alerts *broker_alerts(const struct broker *broker);

/* ---- upkeep: what the store is given to do beside its work (upkeep.c) ---- */

enum job_kind { JOB_VERIFY, JOB_BACKUP };

struct job_terms {
    enum job_kind kind;
    const char *target; /* of a backup; borrowed until it is given back */
};

struct job_progress {
    const char *step;        /* a word of the protocol; NULL: none yet */
    uint64_t rows, rows_all; /* of this step */
    uint64_t bytes;          /* of a backup */
    uint64_t findings, mendable;
};

/* True if a job is wanted that nobody has taken; the shell takes it, tells how
 * far it is, and gives it back: with a report, or with the reason why it failed
 * (err, else NULL). */
bool broker_job_take(struct broker *broker, struct job_terms *terms);
void broker_job_note(struct broker *broker,
                     const struct job_progress *progress);
void broker_job_give(struct broker *broker, const struct err *err,
                     struct slice report);

/* A commit that wrote something took so long; the messages, and the lines of
 * chunks, that were applied in it. */
void broker_note_commit(struct broker *broker, int64_t us, size_t items);

/* When broker_turn() is needed next, if no message comes. Time that a late turn
 * lets pass beyond that is charged to no worker, if it is half a second or more.
 */
int64_t broker_next_ms(const struct broker *broker);

/* A peer cannot be reached: a worker's leases and slots stay until it comes
 * back or its time is over. */
void broker_lost(struct broker *broker, enum side side,
                 const struct link_peer *peer);

/* Sends a worker a word without a meaning. If its link has ended, broker_lost()
 * follows, and nothing that it has said is still to come: what has arrived is
 * taken with the next messages. Within a transaction. */
void broker_knock(struct broker *broker, const unsigned char uuid[16]);

/* What a dead worker had written down and may not have sent (last_words.h): as if
 * it came now. Within a transaction. */
void broker_last_words(struct broker *broker, const unsigned char uuid[16],
                       struct slice head, struct slice body, int64_t now_ms);

/* A worker is known to be dead: all it had is free at once. Within a
 * transaction. */
void broker_worker_died(struct broker *broker, const unsigned char uuid[16],
                        int64_t now_ms);

/* A worker that is known, for the shell to look whether it lives. */
struct worker_view {
    unsigned char uuid[16];
    const char *lock; /* borrowed until the next message */
    const char *own;
    uint32_t pid;
    bool is_here;    /* on this host: its lock can be tried */
    bool is_online;  /* has a link now */
    bool is_leaving; /* drains: by our word, or as it says */
};

/* The nth worker from 0; false behind the last one. */
bool broker_worker_at(const struct broker *broker, size_t nth,
                      struct worker_view *view);

/* Lets one worker go: it gives back what it has not started, finishes its
 * calls, and ends. Within a transaction. */
void broker_dismiss(struct broker *broker, const unsigned char uuid[16]);

/* Tells all workers that are connected to read their credentials anew. Within a
 * transaction. */
void broker_reload(struct broker *broker);

/* Starts nothing more: new batches and chunks are refused, nothing is leased.
 * The workers that a broker of this store started (`own`) give back what they
 * have not started, finish their calls, and end; the others keep what they have
 * for the next broker. Within a transaction. */
void broker_drain(struct broker *broker, const char *own);

#endif
